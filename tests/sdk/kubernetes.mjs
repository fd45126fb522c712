// kubernetes.mjs FILE: are all documents of a manifest what the Kubernetes API takes? Its schemas,
// as the package kubernetes-models has them, tell wrong and missing values; they let unknown fields
// pass as the API server does, so the TypeScript compiler looks for those. Prints what is wrong.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const npm = process.env.NPM_DIR;
const require = createRequire(pathToFileURL(join(npm, 'x.js')));
const yaml = require('js-yaml');
const ts = require('typescript');

function schemaFlaw(document, kind) {
  try {
    new kind(document).validate();
    return [];
  } catch (error) {
    return [error.message];
  }
}

// The documents as literals of their types: a field that the type does not have is an error.
function fieldFlaws(documents) {
  const source = documents.map((d, i) =>
    `import type { I${d.kind} as T${i} } from "kubernetes-models/${d.apiVersion}";\n` +
    `export const d${i}: T${i} = ${JSON.stringify(d, null, 1)};\n`).join('');
  const name = join(npm, 'manifest.ts');
  const options = { noEmit: true, strict: true, skipLibCheck: true, types: [],
    module: ts.ModuleKind.CommonJS, moduleResolution: ts.ModuleResolutionKind.Node10,
    target: ts.ScriptTarget.ES2020 };
  const host = ts.createCompilerHost(options);
  const getSourceFile = host.getSourceFile;
  host.getSourceFile = (file, ...rest) => file === name ?
    ts.createSourceFile(file, source, options.target) : getSourceFile(file, ...rest);
  const program = ts.createProgram([name], options, host);
  return ts.getPreEmitDiagnostics(program)
    .map((d) => ts.flattenDiagnosticMessageText(d.messageText, ' '));
}

const documents = yaml.loadAll(readFileSync(process.argv[2], 'utf8'));
const flaws = documents.flatMap((d) => schemaFlaw(d, require(`kubernetes-models/${d.apiVersion}`)[d.kind]));
flaws.push(...fieldFlaws(documents));
console.log(flaws.length ? flaws.join('\n') : `${documents.map((d) => d.kind).join(', ')}: valid`);
process.exit(flaws.length ? 1 : 0);
