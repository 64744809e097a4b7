export type ProgramName = 'ffmpeg' | 'ffprobe' | 'postgres' | 'redis' | 'nginx' | 'chromium'

export const PROGRAMS: Record<ProgramName, { label: string; packages: Record<string, string> }>

export function findProgram(name: ProgramName): string | undefined
