import { readdirSync, readFileSync } from 'node:fs'

/** CPU seconds of a process and all below it, those that have ended and were waited for included. */
export function treeCpuSeconds(root: number): number {
  const children = Map.groupBy(listProcesses(), ({ parent }) => parent)
  const waiting = [root]
  let ticks = 0
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    ticks += ticksOf(pid)
    waiting.push(...(children.get(pid) ?? []).map((child) => child.pid))
  }
  // proc(5): ticks of 10 ms.
  return ticks / 100
}

export function parentOf(pid: number): number {
  return Number(statOf(pid)?.[1])
}

function listProcesses(): { pid: number; parent: number }[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map((pid) => ({ pid: Number(pid), parent: parentOf(Number(pid)) }))
}

/** proc(5): utime, stime, cutime and cstime are fields 14 to 17. */
function ticksOf(pid: number): number {
  const times = statOf(pid)?.slice(11, 15) ?? []
  return times.reduce((sum, time) => sum + Number(time), 0)
}

/** The fields from the third one on: the second may hold spaces. Null for a process that has gone. */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}

/** Milliseconds since 1970, as finely as the machine tells; the same in all processes. */
export function instant(): number {
  return performance.timeOrigin + performance.now()
}
