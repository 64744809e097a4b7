import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run, SetupError } from './run.mjs'

const NODE_MAJOR = 24

/** The npm packages of the lock file, and the Node that one of them brings. */
export function npmPackages(root) {
  const inModules = (...path) => join(root, 'node_modules', ...path)
  const marker = inModules('.videoflix-setup')
  const wanted = fingerprint(readFileSync(join(root, 'package-lock.json')))

  return {
    areReady: () =>
      existsSync(inModules('node', 'bin', 'node')) &&
      (read(marker) === wanted || (matchesLockFile(root) && mark())),

    async install() {
      console.log('Installing npm packages…')
      // Only `node` may run its install script: packages that would compile something carry
      // a binary. npm 11 knows that from "allowScripts", npm 10 from these two steps.
      await npm('ci', '--ignore-scripts', '--include=dev')
      await npm('rebuild', 'node', '--ignore-scripts=false', '--foreground-scripts')
      await checkNode(inModules('.bin', 'node'))
      mark()
    },
  }

  function mark() {
    writeFileSync(marker, wanted)
    return true
  }

  async function npm(...args) {
    const { code, output } = await run('npm', args, { cwd: root, env: outsideEnvironment(root) })
    if (code === 0) return
    const log = join(root, '.cache', 'setup-npm.log')
    writeFileSync(log, output)
    const cause = output.match(/npm (?:error|ERR!) (?!code )(.+)/)?.[1] ?? `exit code ${code}`
    throw new SetupError(`npm ${args[0]} failed: ${cause} (all of it: ${log})`)
  }
}

// A node_modules filled on another platform (a mounted folder) has the wrong binaries.
function fingerprint(lockFile) {
  const hash = createHash('sha256').update(lockFile).digest('hex')
  return `${hash} ${process.platform}-${process.arch}\n`
}

/** Whether what npm says it installed is what the lock file says, as after an `npm install`. */
function matchesLockFile(root) {
  const installed = read(join(root, 'node_modules', '.package-lock.json'))
  if (installed === undefined) return false
  const have = JSON.parse(installed).packages
  const want = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  return Object.entries(want).every(([path, wanted]) => {
    if (path === '') return true
    const found = have[path]
    if (!found) return Boolean(wanted.optional)
    return found.version === wanted.version && found.integrity === wanted.integrity
  })
}

async function checkNode(file) {
  const { code, output } = await run(file, ['--version'])
  if (code === 0 && output.startsWith(`v${NODE_MAJOR}.`)) return
  const found = code === 0 ? `is ${output.trim()}` : 'does not run'
  throw new SetupError(
    `node_modules/.bin/node ${found} instead of Node ${NODE_MAJOR}: run ` +
      '`npm rebuild node --ignore-scripts=false --foreground-scripts` and see what it says.',
  )
}

// npm must not run on the Node in the node_modules that it is about to replace.
function outsideEnvironment(root) {
  const own = join(root, 'node_modules', '.bin')
  const PATH = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== own)
  return { ...process.env, PATH: PATH.join(delimiter) }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
