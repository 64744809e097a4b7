import { readdir, readFile } from 'node:fs/promises'

export interface ChildProcess {
  pid: number
  name: string
  residentBytes: number
}

const PAGE_BYTES = 4096

/** All that descend from a process, those in namespaces included. Linux only: elsewhere there are none. */
export async function childrenOf(pid: number): Promise<ChildProcess[]> {
  const parents = new Map<number, ChildProcess[]>()
  const names = await readdir('/proc').catch(() => [])
  await Promise.all(
    names.map(Number).map(async (child) => {
      if (!(child > 0)) return
      const stat = await readFile(`/proc/${child}/stat`, 'latin1').catch(() => '')
      // `pid (name) state ppid …`; the name may hold anything.
      const [, name = '', rest = ''] = /\((.*)\) (.*)/s.exec(stat) ?? []
      const fields = rest.split(' ')
      const parent = Number(fields[1])
      const siblings = parents.get(parent) ?? []
      siblings.push({ pid: child, name, residentBytes: Number(fields[21]) * PAGE_BYTES })
      parents.set(parent, siblings)
    }),
  )
  const below = (parent: number): ChildProcess[] =>
    (parents.get(parent) ?? []).flatMap((child) => [child, ...below(child.pid)])
  return below(pid)
}
