import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { newId } from '../ports/ids.ts'

/** The name under which one run of the program holds leases: host, process and a nonce. */
export function newOwner(pid: number): string {
  return [`${hostname()}/${processNamespace()}/${boot()}`, pid, newId()].join(' ')
}

/** Machines made from one image may share a host name, and all that do not use containers have the same namespace. */
function boot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/** Containers may share a host name, yet number their processes apart: a number means nothing outside of its namespace. */
function processNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

/**
 * Whether the owner certainly no longer runs: it was a process of this host, and there is none by its number, or it is
 * us under an earlier name. Anything else may live, and its lease has to run out.
 */
export function isDead(owner: string, self: string, isRunning: (pid: number) => boolean): boolean {
  if (owner === self) return false
  const [host, pid] = owner.split(' ')
  const [ownHost, ownPid] = self.split(' ')
  if (host !== ownHost) return false
  return pid === ownPid || !isRunning(Number(pid))
}
