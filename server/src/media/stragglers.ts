import { randomUUID } from 'node:crypto'
import { readlinkSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'

const VARIABLE = 'VIDEOFLIX_RUN'
const ROUNDS = 10

/** By which all processes of a run are known: in their environment, so that they inherit it. */
export interface Mark {
  environment: Record<string, string>
}

/** Names the process that starts the run, and tells it from its like in other containers. */
export function newMark(): Mark {
  return { environment: { [VARIABLE]: `${namespace()} ${process.pid} ${randomUUID()}` } }
}

function namespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return 'none'
  }
}

/**
 * Kills the processes that a run has left outside of its process group: where no namespace ends
 * with the run, nothing but their mark is left to find them by. One that was started with another
 * environment is not found. Linux only; elsewhere nothing happens.
 */
export async function killStragglers(mark: Mark): Promise<void> {
  await killAll((value) => value === mark.environment[VARIABLE])
}

/**
 * Kills what a process that is no more has left. Whoever is killed within the half millisecond in
 * which bubblewrap makes a namespace leaves a process of it that waits for ever.
 */
export async function killOrphans(): Promise<void> {
  const ours = namespace()
  await killAll((value) => {
    const [where, pid] = value.split(' ')
    return where === ours && !isRunning(Number(pid))
  })
}

async function killAll(isMeant: (value: string) => boolean): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const pids = await marked(isMeant)
    if (pids.length === 0) return
    for (const pid of pids) kill(pid)
  }
}

async function marked(isMeant: (value: string) => boolean): Promise<number[]> {
  const names = await readdir('/proc').catch(() => [])
  const pids = names.map(Number).filter((pid) => pid > 1 && pid !== process.pid)
  const values = await Promise.all(pids.map(valueIn))
  return pids.filter((_, index) => {
    const value = values[index]
    return value !== undefined && isMeant(value)
  })
}

/** Undefined for those of other users, for the dead and for all that are not ours. */
async function valueIn(pid: number): Promise<string | undefined> {
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
  const start = `${VARIABLE}=`
  const entry = environment.split('\0').find((entry) => entry.startsWith(start))
  return entry?.slice(start.length)
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ESRCH: it has ended.
  }
}
