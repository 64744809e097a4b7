import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { ByteSpan, FragmentIndex } from '../../server/src/media/mp4/fragment-index.ts'

const exec = promisify(execFile)
const MUCH = 64 * 1024 ** 2

export interface Packet {
  pts: string
  dts: string
  duration: string
  size: string
  isKeyframe: boolean
}

const probed = new Map<string, Promise<Packet[]>>()

/** What ffprobe finds in the track of a kind, in file order. Looked at once: the file must not change. */
export function packets(path: string, kind: 'v' | 'a'): Promise<Packet[]> {
  const key = `${kind} ${path}`
  const known = probed.get(key) ?? probePackets(path, kind)
  probed.set(key, known)
  return known
}

async function probePackets(path: string, kind: 'v' | 'a'): Promise<Packet[]> {
  const entries = 'packet=pts_time,dts_time,duration_time,size,flags'
  const args = ['-v', 'warning', '-select_streams', kind, '-show_entries', entries]
  const { stdout, stderr } = await exec('ffprobe', [...args, '-of', 'json=c=1', path], {
    maxBuffer: MUCH,
  })
  if (stderr !== '') throw new Error(`ffprobe warns of ${path}: ${stderr}`)
  const told = JSON.parse(stdout) as { packets?: Record<string, string>[] }
  return (told.packets ?? []).map((packet) => ({
    pts: packet['pts_time'] ?? '',
    dts: packet['dts_time'] ?? '',
    duration: packet['duration_time'] ?? '',
    size: packet['size'] ?? '',
    isKeyframe: packet['flags']?.startsWith('K') ?? false,
  }))
}

/** Time and hash of every decoded frame. `-copyts`: a film of sound before 0 would be moved whole. */
export async function frames(path: string, kind: 'v' | 'a'): Promise<string[]> {
  const args = ['-v', 'warning', '-copyts', '-i', path, '-map', `0:${kind}`]
  const passed = kind === 'v' ? ['-fps_mode', 'passthrough'] : []
  const { stdout, stderr } = await exec('ffmpeg', [...args, ...passed, '-f', 'framemd5', '-'], {
    maxBuffer: MUCH,
  })
  if (stderr !== '') throw new Error(`ffmpeg warns of ${path}: ${stderr}`)
  return stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

export interface Views {
  /** Everything from the init for all tracks on. */
  fragments: string
  /** The init and the fragments of one track, put together as a player of HLS does. */
  video: string | null
  audio: string | null
}

/** Extracts what players of fragments see, into files beside the packaged one. */
export async function viewsOf(path: string, index: FragmentIndex): Promise<Views> {
  const bytes = await readFile(path)
  const cut = ([offset, length]: ByteSpan): Buffer => bytes.subarray(offset, offset + length)
  const written = async (name: string, content: Buffer): Promise<string> => {
    await writeFile(`${path}.${name}.mp4`, content)
    return `${path}.${name}.mp4`
  }
  const alone = async (kind: 'video' | 'audio'): Promise<string | null> => {
    const track = index[kind]
    if (track === null) return null
    const parts = track.offsets.map((offset, at) => cut([offset, track.lengths[at] ?? 0]))
    return written(kind, Buffer.concat([cut(track.init), ...parts]))
  }
  const [first = 0] = index.initBoth ?? index.video?.init ?? index.audio?.init ?? []
  return {
    fragments: await written('fragments', bytes.subarray(first)),
    video: await alone('video'),
    audio: await alone('audio'),
  }
}
