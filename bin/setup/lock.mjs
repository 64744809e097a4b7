import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 250
// Longer than any set-up takes: by then the owner's number belongs to another process.
const STALE_AFTER_MS = 30 * 60_000

/** Does the work while holding the lock file, so that two set-ups never undo one another. */
export async function onlyOneAtATime(file, work) {
  mkdirSync(dirname(file), { recursive: true })
  const release = () => rmSync(file, { force: true })
  await take(file)
  process.once('exit', release)
  try {
    return await work()
  } finally {
    process.off('exit', release)
    release()
  }
}

async function take(file) {
  for (let told = false; !tryTake(file); await sleep(POLL_MS)) {
    if (isStale(file)) rmSync(file, { force: true })
    else if (!told) {
      console.log('Waiting for another set-up to finish…')
      told = true
    }
  }
}

function tryTake(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code === 'EEXIST') return false
    throw error
  }
}

function isStale(file) {
  try {
    const ageMs = Date.now() - statSync(file).mtimeMs
    const owner = Number(readFileSync(file, 'utf8'))
    // Empty for the instant between its creation and its first write.
    if (owner === 0) return ageMs > 10 * POLL_MS
    return ageMs > STALE_AFTER_MS || !isAlive(owner)
  } catch (error) {
    if (error.code === 'ENOENT') return false
    throw error
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
