// image-contents.mjs LIST: fails unless the image holds the build of src/, production packages and two files, and nothing
// else: no test, simulator, source map or development package. LIST has lines `file PATH` and `writable PATH`.
import { globSync, readFileSync } from 'node:fs'

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'))
const lines = readFileSync(process.argv[2], 'utf8').trim().split('\n')
const listed = (kind) => lines.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(kind.length + 1))
const [files, writable] = [listed('file'), listed('writable')]

const built = globSync('**/*.ts', { cwd: 'src' }).map((path) => `dist/${path.replace(/\.ts$/, '.js')}`)
const expected = new Set(['package.json', 'LICENSE', 'node_modules/.package-lock.json', ...built])
const packageOf = (path) => /^(?:node_modules\/(?:@[^/]+\/)?[^/]+\/)+/.exec(path)?.[0].slice(0, -1)
const isForProduction = (path) => packages[path] !== undefined && packages[path].dev !== true

const faults = [
  ...[...expected].filter((path) => !files.includes(path)).map((path) => `lacks ${path}`),
  ...files
    .filter((path) => path.endsWith('.map') || !(expected.has(path) || isForProduction(packageOf(path))))
    .map((path) => `must not hold ${path}`),
  ...writable.filter((path) => path !== 'data').map((path) => `lets its user write to ${path}`)
]
console.log(`${files.length} files, of them ${built.length} built`)
for (const fault of faults.slice(0, 20)) console.error(`The image ${fault}`)
process.exitCode = faults.length > 0 ? 1 : 0
