import { spawn } from 'node:child_process'

/**
 * Runs a program to its end, silently.
 *
 * @returns its exit code (127 when it cannot be started) and all that it printed, in order.
 */
export function run(command, args, { onStart, ...options } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    onStart?.(child)
    const chunks = []
    child.stdout.on('data', (chunk) => chunks.push(chunk))
    child.stderr.on('data', (chunk) => chunks.push(chunk))
    child.on('error', (error) => resolve({ code: 127, output: error.message }))
    child.on('close', (code) =>
      resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString() }),
    )
  })
}

/** A failure that the person who runs the set-up can act on: its message is all they need. */
export class SetupError extends Error {}
