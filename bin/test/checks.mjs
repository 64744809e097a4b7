import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../setup/run.mjs'

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
export const bin = (name) => join(root, 'node_modules', '.bin', name)

export const CHECKS = [
  { name: 'types', command: bin('tsc'), args: ['--noEmit'] },
  { name: 'lint', command: bin('oxlint'), args: ['--type-aware', '--deny-warnings'] },
  { name: 'format', command: bin('prettier'), args: ['--check', '.'] },
  { name: 'dead code', command: bin('knip'), args: [] },
  { name: 'lock file', command: process.execPath, args: ['bin/lock-file.mjs'] },
]

const running = new Set()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.once(signal, () => {
    for (const child of running) child.kill(signal)
    process.exit(1)
  })

export async function runCheck({ command, args }) {
  const startedAt = Date.now()
  const result = await run(command, args, { cwd: root, onStart: track })
  return { ...result, seconds: ((Date.now() - startedAt) / 1000).toFixed(1) }
}

/** Runs a program on our own terminal; gives its exit code. */
export function runLoudly(command, args) {
  return new Promise((resolve) => {
    const child = track(spawn(command, args, { cwd: root, stdio: 'inherit' }))
    child.on('error', () => resolve(127))
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

function track(child) {
  running.add(child)
  child.on('exit', () => running.delete(child))
  return child
}
