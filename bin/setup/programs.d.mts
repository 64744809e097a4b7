export type ProgramName =
  | 'ffmpeg'
  | 'ffprobe'
  | 'bubblewrap'
  | 'postgres'
  | 'pgbouncer'
  | 'redis'
  | 'radosgw'
  | 'ceph-mon'
  | 'ceph-osd'
  | 'nginx'
  | 'chromium'
  | 'firefox'

export const PROGRAMS: Record<ProgramName, { label: string; packages: Record<string, string> }>

export function findProgram(name: ProgramName): string | undefined
