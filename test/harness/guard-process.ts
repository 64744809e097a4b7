// Outlives the test process just long enough to end what it left: standard input closes when the
// test process goes, however it goes, and what is registered by then is ended and removed.
import { spawnSync } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GuardMessage, Remains } from './guard.ts'

const GRACE_MS = 3000

const remains = new Map<number, Remains>()

// Ctrl-C in a terminal reaches the tests' whole group.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as GuardMessage
  if (message.remains) remains.set(message.id, message.remains)
  else remains.delete(message.id)
}
await endProcesses([...remains.values()].filter((one) => one.kind === 'process'))
for (const one of remains.values())
  if (one.kind === 'mount') spawnSync('umount', ['--lazy', one.path])
for (const one of remains.values())
  if (one.kind === 'folder') await rm(one.path, { recursive: true, force: true, maxRetries: 5 })

async function endProcesses(processes: Extract<Remains, { kind: 'process' }>[]) {
  for (const { pid, signal } of processes) send(pid, signal)
  const deadline = Date.now() + GRACE_MS
  while (Date.now() < deadline && processes.some(({ pid }) => send(-pid, 0))) await sleep(20)
  for (const { pid } of processes) send(-pid, 'SIGKILL')
}

function send(pid: number, signal: NodeJS.Signals | 0) {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}
