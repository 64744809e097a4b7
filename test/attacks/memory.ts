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
