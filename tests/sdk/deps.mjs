// The packages of package-lock.json live in build/npm (scripts/npm-tools.sh), outside the source
// tree, where an import statement does not look.

import { createRequire } from "node:module";

export const load = createRequire(new URL("../../build/npm/package.json", import.meta.url));
