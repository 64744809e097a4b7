import { readdirSync, readFileSync } from 'node:fs'
import type { Member, Site } from './site.ts'

/** Process ids of the ffmpeg and ffprobe that a member runs now, however deep below it. */
function ffmpegsOf(member: Member): number[] {
  if (!member.isRunning()) return []
  const processes = listProcesses()
  const below = (pid: number): Process[] =>
    processes.filter(({ parent }) => parent === pid).flatMap((each) => [each, ...below(each.pid)])
  return below(member.pid())
    .filter(({ name }) => /^ff(mpeg|probe)/.test(name))
    .map(({ pid }) => pid)
}

interface Process {
  pid: number
  parent: number
  name: string
}

function listProcesses(): Process[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return []
    try {
      // proc(5): pid (name) state parent …
      const [, name = '', state, parent = ''] =
        /\((.*)\) (\w) (\d+)/.exec(readFileSync(`/proc/${entry}/stat`, 'utf8')) ?? []
      // Dead already, and nobody has asked how it ended.
      if (state === 'Z') return []
      return [{ pid: Number(entry), parent: Number(parent), name }]
    } catch {
      return []
    }
  })
}

/** Whether it was there. */
function killProcess(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    return false
  }
}

export const VICTIMS = ['postgres', 'redis', 'server', 'worker', 'ffmpeg'] as const
export type Victim = (typeof VICTIMS)[number]

/** Brings somebody back. */
export type Revive = () => Promise<void>

/**
 * Each ends somebody at once, and gives how to bring them back; null if there was nobody to end. In the order in which
 * they can come back.
 */
export function createVictims(
  site: Site,
  oneOf: <T>(choices: readonly T[]) => T,
): Record<Victim, () => Promise<Revive | null>> {
  async function killMember(member: Member): Promise<Revive | null> {
    if (!member.isRunning()) return null
    await member.kill()
    return () => member.start()
  }
  return {
    async postgres() {
      await site.postgres.kill()
      return () => site.postgres.comeBack()
    },
    redis() {
      site.redis.kill('SIGKILL')
      return Promise.resolve(() => site.redis.restart())
    },
    server: () => killMember(oneOf(site.servers)),
    worker: () => killMember(oneOf(site.workers)),
    ffmpeg() {
      const pids = site.workers.flatMap(ffmpegsOf)
      const isHit = pids.length > 0 && killProcess(oneOf(pids))
      return Promise.resolve(isHit ? () => Promise.resolve() : null)
    },
  }
}
