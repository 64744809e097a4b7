import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { guardAgainstLeaving } from './guard.ts'

export interface ChildOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** The user to run as, when the tests run as root and the program refuses that. */
  owner?: { uid: number; gid: number } | undefined
  /** What asks the program to end at once; SIGTERM unless told. */
  stopSignal?: NodeJS.Signals
}

export interface Child {
  pid: number
  /** All that it has printed so far, both streams. */
  output(): string
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  hasExited(): boolean
  /** Signals the whole process group. */
  kill(signal: NodeJS.Signals): void
  /** Asks it to end and insists after three seconds. Does nothing when it has ended. */
  stop(): Promise<void>
}

const GRACE_MS = 3000

/** Starts a program as the leader of its own process group. */
export function startChild(command: string, args: string[], options: ChildOptions = {}): Child {
  const { stopSignal = 'SIGTERM', owner, ...rest } = options
  const child = spawn(command, args, {
    ...rest,
    ...owner,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${command} cannot be started`)
  const forget = guardAgainstLeaving({ kind: 'process', pid, signal: stopSignal })

  const printed: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => printed.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => printed.push(chunk))

  const hasExited = () => child.exitCode !== null || child.signalCode !== null
  const exited = once(child, 'exit').then(() => {
    // Grandchildren that have moved out of the way of the leader's end.
    signalGroup(pid, 'SIGKILL')
    forget()
    return { code: child.exitCode, signal: child.signalCode }
  })

  return {
    pid,
    output: () => Buffer.concat(printed).toString(),
    exited,
    hasExited,
    kill: (signal) => signalGroup(pid, signal),
    async stop() {
      if (!hasExited()) child.kill(stopSignal)
      const insist = new AbortController()
      sleep(GRACE_MS, undefined, insist).then(
        () => signalGroup(pid, 'SIGKILL'),
        () => {},
      )
      await exited
      insist.abort()
    },
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals) {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
