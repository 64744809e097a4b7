import { readdir, readFile } from 'node:fs/promises'

const ROUNDS = 10

/** The name of the variable by which the children of a run know each other. */
export const MARK = 'VIDEOFLIX_RUN'

/**
 * Kills the processes that a run has left outside of its process group, by its mark in their
 * environment: where no namespace ends with the run, nothing else is left to find them by. One that
 * was started with another environment is not found. Linux only; elsewhere nothing happens.
 */
export async function killStragglers(mark: string): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const pids = await marked(mark)
    if (pids.length === 0) return
    for (const pid of pids) kill(pid)
  }
}

async function marked(mark: string): Promise<number[]> {
  const names = await readdir('/proc').catch(() => [])
  const pids = names.map(Number).filter((pid) => pid > 1 && pid !== process.pid)
  const found = await Promise.all(
    pids.map(async (pid) => ((await isMarked(pid, mark)) ? [pid] : [])),
  )
  return found.flat()
}

/** False for those of other users, for the dead and for those that have just ended. */
async function isMarked(pid: number, mark: string): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
  return environment.split('\0').includes(`${MARK}=${mark}`)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // ESRCH: it has ended.
  }
}
