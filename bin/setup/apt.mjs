import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from './run.mjs'

const POLICY = '/usr/sbin/policy-rc.d'
const POLICY_TEXT =
  '#!/bin/sh\n# Written by Videoflix while it installs packages; safe to delete.\nexit 101\n'
const HELD_LOCK = /could not get lock|unable to (?:acquire|lock)|is another process using it/i
const WAIT_FOR_LOCK_MS = 5 * 60_000

/** Installs packages as root, as many as can be had; says on one line what went wrong. */
export async function aptInstall(packages, root) {
  const log = join(root, '.cache', 'setup-apt.log')
  await withoutStartingServices(async () => {
    const update = await apt('update')
    const all = await apt('install', ...packages)
    if (all.code === 0) return
    // One that this distribution lacks must not keep the others away.
    const each = []
    if (packages.length > 1) for (const name of packages) each.push(await apt('install', name))
    writeFileSync(log, [update, all, ...each].map(({ output }) => output).join('\n'))
    const said = all.output.match(/^E: .+$/m)?.[0] ?? `exit code ${all.code}`
    if (each.length === 0 || each.some(({ code }) => code !== 0))
      console.error(`apt-get install failed: ${said} (all of it: ${log})`)
  })
}

async function apt(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }
  const options = ['-y', '-q', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold']
  const deadline = Date.now() + WAIT_FOR_LOCK_MS
  for (let told = false; ; await sleep(2000)) {
    const result = await run('apt-get', [...options, ...args], { env })
    if (result.code === 0 || !HELD_LOCK.test(result.output) || Date.now() > deadline) return result
    if (!told) console.log('Waiting for another apt-get to finish…')
    told = true
  }
}

/**
 * Debian starts a service as soon as it is installed, unless this file answers 101. The tests run
 * their own instances, so nothing is to listen on this machine that did not before.
 */
async function withoutStartingServices(work) {
  if (existsSync(POLICY) && readFileSync(POLICY, 'utf8') !== POLICY_TEXT) return work()
  const remove = () => rmSync(POLICY, { force: true })
  writeFileSync(POLICY, POLICY_TEXT, { mode: 0o755 })
  process.once('exit', remove)
  try {
    return await work()
  } finally {
    process.off('exit', remove)
    remove()
  }
}
