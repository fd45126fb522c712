// pod.mjs DIR FILE...: what `docker run` is told for the one container of each Job and Deployment of the manifests, as
// the kubelet would have it: a file DIR/NAME.args with a word a line, and DIR/NAME.probes with a probe's command a line.
// Volumes are directories below DIR, or tmpfs. What is not translated here is an error.
//
// The label azure.workload.identity/use brings what the webhook of AKS brings; DIR/azure-identity-token is the token, and
// AZURE_TENANT_ID and AZURE_AUTHORITY_HOST of this process's environment are the cluster's. A secret's files are
// those of DIR/secrets/NAME. Images are $IMAGE_NAME where the manifest says name.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(join(process.env.NPM_DIR, 'x.js')));
const yaml = require('js-yaml');
const [dir, ...files] = process.argv.slice(2);
const documents = files.flatMap((f) => yaml.loadAll(readFileSync(f, 'utf8')));
const named = (kind, name) => {
  const found = documents.find((d) => d.kind === kind && d.metadata.name === name);
  if (!found)
    throw new Error(`no ${kind} ${name} in these files`);
  return found;
};

// The fields of an object, each looked at once; one that nobody looks at is an error.
function fields(object, what, handlers) {
  for (const [name, value] of Object.entries(object ?? {})) {
    if (!handlers[name])
      throw new Error(`${what}.${name} is not translated`);
    handlers[name](value);
  }
}

const ignore = () => {};

function volumes(list, args) {
  const places = {};
  for (const volume of list ?? [])
    fields(volume, 'volume', {
      name: ignore,
      emptyDir: () => { places[volume.name] = (at) => args.push('--tmpfs', `${at}:mode=1777`); },
      configMap: (c) => {
        const at = join(dir, 'configmaps', c.name);
        mkdirSync(at, { recursive: true });
        for (const [name, text] of Object.entries(named('ConfigMap', c.name).data))
          writeFileSync(join(at, name), text);
        places[volume.name] = (to) => args.push('-v', `${at}:${to}:ro`);
      },
      secret: (s) => { places[volume.name] = (to) => args.push('-v', `${join(dir, 'secrets', s.secretName)}:${to}:ro`); },
    });
  return places;
}

function securityContext(context, args) {
  fields(context, 'securityContext', {
    // What is used of it: an engine that is in a container itself may have less than all to give.
    privileged: (yes) => yes && args.push('--device', `${process.env.FUSE_DEVICE}:/dev/fuse`, '--cap-add', 'SYS_ADMIN',
      '--security-opt', 'apparmor=unconfined', '--security-opt', 'seccomp=unconfined'),
    runAsNonRoot: ignore,       // runAsUser says so
    runAsUser: (u) => args.push('--user', `${u}:${u}`),
    fsGroup: (g) => args.push('--group-add', `${g}`),
    seccompProfile: (p) => { if (p.type !== 'RuntimeDefault') throw new Error(p.type); },
    appArmorProfile: (p) => args.push('--security-opt', `apparmor=${p.type.toLowerCase()}`),
    allowPrivilegeEscalation: (yes) => yes || args.push('--security-opt', 'no-new-privileges'),
    readOnlyRootFilesystem: (yes) => yes && args.push('--read-only'),
    capabilities: (c) => {
      c.drop?.forEach((x) => args.push('--cap-drop', x));
      c.add?.forEach((x) => args.push('--cap-add', x));
    },
  });
}

function limits(wanted, args) {
  fields(wanted, 'limits', {
    memory: (m) => args.push('--memory', m.replace(/i$/, '').toLowerCase()),
    'smarter-devices/fuse': () => args.push('--device', `${process.env.FUSE_DEVICE}:/dev/fuse`),
  });
}

function workloadIdentity(account, args) {
  const id = named('ServiceAccount', account).metadata.annotations['azure.workload.identity/client-id'];
  const file = '/var/run/secrets/azure/tokens/azure-identity-token';
  args.push('-e', `AZURE_CLIENT_ID=${id}`, '-e', `AZURE_TENANT_ID=${process.env.AZURE_TENANT_ID}`,
    '-e', `AZURE_AUTHORITY_HOST=${process.env.AZURE_AUTHORITY_HOST}`, '-e', `AZURE_FEDERATED_TOKEN_FILE=${file}`,
    '-v', `${join(dir, 'azure-identity-token')}:${file}:ro`);
}

function container(pod, args, probes) {
  const [only, ...more] = pod.containers;
  const places = volumes(pod.volumes, args);
  const words = [];
  const probe = (p) => probes.push(p.exec.command.join(' '));
  if (more.length)
    throw new Error('one container a pod');
  fields(only, 'container', {
    name: ignore,
    image: (name) => words.unshift(process.env[`IMAGE_${name}`] ?? name),
    args: (list) => words.push(...list),
    ports: ignore,
    env: (list) => list.forEach((e) => args.push('-e', `${e.name}=${e.value}`)),
    securityContext: (c) => securityContext(c, args),
    resources: (r) => limits(r.limits, args),
    volumeMounts: (list) => list.forEach((m) => places[m.name](m.mountPath)),
    startupProbe: probe, livenessProbe: probe, readinessProbe: probe,
  });
  return words;
}

for (const document of documents.filter((d) => ['Job', 'Deployment'].includes(d.kind))) {
  const { metadata, spec } = document.spec.template;
  const args = [];
  const probes = [];
  const words = container(spec, args, probes);
  let grace = 30;
  fields(spec, 'pod', {
    containers: ignore, volumes: ignore, restartPolicy: ignore,
    serviceAccountName: ignore,
    terminationGracePeriodSeconds: (s) => { grace = s; },
    securityContext: (c) => securityContext(c, args),
  });
  args.push('--stop-timeout', `${grace}`);
  if (metadata?.labels?.['azure.workload.identity/use'] === 'true')
    workloadIdentity(spec.serviceAccountName, args);
  const name = join(dir, document.metadata.name);
  writeFileSync(`${name}.args`, `${[...args, '--', ...words].join('\n')}\n`);
  writeFileSync(`${name}.probes`, probes.map((p) => `${p}\n`).join(''));
  console.log(document.metadata.name);
}
