import { fileBoxes, findBox } from '../../media/mp4/read/box-reader.ts'
import { openSource, readBytes } from '../../media/mp4/read/source-file.ts'
import { MediaFailure } from '../../media/failure.ts'
import type { MediaInfo } from '../../media/media-info.ts'
import { probe } from '../../media/probe.ts'
import type { MediaTools } from '../../media/tools.ts'

/** A file of the original, and what it is. */
export interface ProbedFilm {
  path: string
  info: MediaInfo
}

/** Of a file that is no film, why. */
export async function probeFilm(
  tools: MediaTools,
  path: string,
  signal: AbortSignal,
): Promise<ProbedFilm | MediaFailure> {
  try {
    return { path, info: await probe(tools, path, signal) }
  } catch (error) {
    if (error instanceof MediaFailure && error.permanent) return error
    throw error
  }
}

const LARGEST_INDEX_BYTES = 256 * 1024 * 1024

/** RFC 6381, or null for what browsers do not play as MP4. */
export async function codecsOf(
  { path, info }: ProbedFilm,
  signal: AbortSignal,
): Promise<string | null> {
  if (info.video.codec !== 'h264' || !info.container.includes('mp4')) return null
  const sound = soundCodec(info)
  const picture = await pictureCodec(path, signal)
  if (picture === null || sound === null) return null
  return [picture, sound].filter((codec) => codec !== '').join(',')
}

/** Empty without sound. */
function soundCodec({ audio }: MediaInfo): string | null {
  if (audio === null) return ''
  if (audio.codec === 'mp3') return 'mp4a.40.34'
  if (audio.codec !== 'aac') return null
  return audio.profile?.startsWith('HE-AAC') ? 'mp4a.40.5' : 'mp4a.40.2'
}

/** Profile, constraints and level of the decoder configuration (ISO/IEC 14496-15 §5.3.3.1). */
async function pictureCodec(path: string, signal: AbortSignal): Promise<string | null> {
  await using file = await openSource(path)
  for await (const { type, offset, headerLength, end } of fileBoxes(file, signal)) {
    const length = end - offset - headerLength
    if (type !== 'moov' || length > LARGEST_INDEX_BYTES) continue
    const moov = await readBytes(file, offset + headerLength, length)
    if (findBox(moov, 'mvhd') === undefined) return null
    const at = moov.indexOf('avcC', 0, 'latin1')
    return at < 0 ? null : `avc1.${moov.toString('hex', at + 5, at + 8)}`
  }
  return null
}
