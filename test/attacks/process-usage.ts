import { readFileSync } from 'node:fs'

/** Resident memory of another process, in megabytes. Linux only; 0 elsewhere. */
export function residentMb(pid: number): number {
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Number(kib ?? 0) / 1024
  } catch {
    return 0
  }
}

/** CPU time of another process and all of its threads so far, in steps of 10 ms. Linux only; 0 elsewhere. */
export function cpuMs(pid: number): number {
  try {
    // proc(5): pid (name) state …; utime and stime are fields 14 and 15, in ticks.
    const [, rest = ''] = /\) (.*)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    const [utime, stime] = rest.split(' ').slice(11, 13)
    return (Number(utime) + Number(stime)) * 10
  } catch {
    return 0
  }
}
