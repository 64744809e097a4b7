#!/usr/bin/env node
// Makes sure of what a command needs: `node bin/setup.mjs start` or `node bin/setup.mjs test`.
// Says nothing when there is nothing to do. Plain Node, because it runs before anything is there.
import './setup/node-version.mjs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onlyOneAtATime } from './setup/lock.mjs'
import { npmPackages } from './setup/packages.mjs'
import { NEEDED_BY } from './setup/programs.mjs'
import { SetupError } from './setup/run.mjs'
import { installPrograms, missingPrograms, reportMissing } from './setup/services.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const cache = (name) => join(root, '.cache', name)
const command = process.argv[2]

// An exit handler does not run when a signal ends the process by itself.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))

try {
  if (!NEEDED_BY[command]) throw new SetupError('Usage: node bin/setup.mjs start|test')
  const packages = npmPackages(root)
  if (!packages.areReady() || missingPrograms(command).length > 0)
    await onlyOneAtATime(cache('setup.lock'), () => setUp(packages))
  reportMissing(command, cache('missing-services.json'))
} catch (error) {
  if (!(error instanceof SetupError)) throw error
  console.error(error.message)
  process.exit(1)
}

async function setUp(packages) {
  if (!packages.areReady()) await packages.install()
  const missing = missingPrograms(command)
  if (missing.length > 0) await installPrograms(missing, root)
}
