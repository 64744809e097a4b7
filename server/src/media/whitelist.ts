/**
 * What ffmpeg and ffprobe may open. Everything else it knows (playlists, concat scripts, image
 * sequences, screen formats) reads other files or is decoded by code that few people look at.
 * A protocol whitelist alone does not help: `file` has to be on it.
 */
export const FORMATS = [
  ...['mov', 'mp4', 'm4a', '3gp', '3g2', 'mj2'],
  ...['matroska', 'webm', 'avi', 'mpegts', 'mpeg', 'flv', 'asf', 'ogg'],
]

/** Names of codecs, as ffprobe tells them. */
export const VIDEO_CODECS: ReadonlySet<string> = new Set([
  ...['h264', 'hevc', 'vp8', 'vp9', 'av1', 'theora'],
  ...['mpeg1video', 'mpeg2video', 'mpeg4', 'msmpeg4v1', 'msmpeg4v2', 'msmpeg4v3'],
  ...['wmv1', 'wmv2', 'wmv3', 'vc1', 'prores', 'dnxhd', 'mjpeg', 'h263', 'flv1'],
])

export const AUDIO_CODECS: ReadonlySet<string> = new Set([
  ...['aac', 'aac_latm', 'mp1', 'mp2', 'mp3', 'ac3', 'eac3', 'dts', 'truehd', 'opus', 'vorbis'],
  ...['flac', 'alac', 'wmav1', 'wmav2', 'wmapro', 'wmalossless', 'wmavoice', 'amr_nb', 'amr_wb'],
  ...['speex', 'nellymoser', 'adpcm_ms', 'adpcm_ima_wav', 'adpcm_ima_qt', 'adpcm_swf'],
  ...['pcm_s16le', 'pcm_s16be', 'pcm_s24le', 'pcm_s24be', 'pcm_s32le', 'pcm_s32be', 'pcm_u8'],
  ...['pcm_s8', 'pcm_f32le', 'pcm_f32be', 'pcm_f64le', 'pcm_f64be', 'pcm_alaw', 'pcm_mulaw'],
  ...['pcm_dvd', 'pcm_bluray'],
])

/** Text that can become WebVTT. */
export const SUBTITLE_CODECS: ReadonlySet<string> = new Set([
  ...['subrip', 'ass', 'ssa', 'mov_text', 'webvtt', 'text'],
])

/** Where a decoder is not called as its codec is. AV1: ffmpeg takes the first of these it has. */
const DECODERS = [
  ...['libdav1d', 'libaom-av1', 'msmpeg4', 'flv', 'mpegvideo', 'libvpx', 'libvpx-vp9'],
  ...['mp1float', 'mp2float', 'mp3float', 'dca', 'amrnb', 'amrwb', 'libopencore_amrnb'],
  ...['libopencore_amrwb', 'libopus', 'libvorbis', 'libspeex'],
]

/**
 * ffprobe opens a decoder for every stream, and gives up on a file if it may not open one. So it is
 * allowed those of subtitles and cover pictures, which are never encoded.
 */
const BYSTANDERS = [
  ...['mov_text', 'subrip', 'srt', 'ass', 'ssa', 'webvtt', 'text', 'dvdsub', 'pgssub', 'dvbsub'],
  ...['cc_dec', 'xsub', 'libzvbi_teletextdec', 'libaribb24', 'libaribcaption', 'png', 'bmp', 'gif'],
]

/** What a decoder refuses to allocate: 8K DCI passes, 144 megapixels do not. */
export const MAX_PIXELS = 8192 * 4608

/** Whether ffmpeg complains that a picture was larger than that. */
export function complainsOfSize(stderr: string): boolean {
  return /exceeds specified max pixel count|Picture size \d+x\d+ is invalid/.test(stderr)
}

/** Input options for every start of ffmpeg on a source. */
export const HARDENED_INPUT = hardened([...VIDEO_CODECS, ...AUDIO_CODECS, ...DECODERS])

/** Input options for every start of ffprobe on a source, and of ffmpeg where it is to read subtitles. */
export const HARDENED_PROBE = hardened([
  ...VIDEO_CODECS,
  ...AUDIO_CODECS,
  ...DECODERS,
  ...BYSTANDERS,
])

function hardened(decoders: string[]): string[] {
  return [
    ...['-protocol_whitelist', 'file', '-format_whitelist', FORMATS.join(',')],
    ...['-codec_whitelist', decoders.join(','), '-max_pixels', String(MAX_PIXELS)],
  ]
}

/** Formats that may be forced in place of the list: pictures that we have written ourselves. */
const OUR_OWN = new Set(['mjpeg'])

/**
 * Throws where an input lacks any of that: a mistake of ours, and found by the first test that
 * starts ffmpeg so. Only files are opened, and none by its bare name, which might be a URL.
 */
export function refuseUnhardened(args: readonly string[]): void {
  let options: string[] = []
  let previous = ''
  for (const arg of args) {
    if (previous === '-i') {
      const isListed = ['-format_whitelist', '-max_pixels'].every((one) => options.includes(one))
      const isNarrow = isListed || OUR_OWN.has(valueOf(options, '-f'))
      const isWhole = ['-protocol_whitelist', '-codec_whitelist'].every((one) =>
        options.includes(one),
      )
      if (!isNarrow || !isWhole || !arg.startsWith('file:')) {
        throw new Error(`an input without its whitelists: ${arg}`)
      }
      options = []
    } else options.push(arg)
    previous = arg
  }
}

function valueOf(options: string[], name: string): string {
  const at = options.indexOf(name)
  return at < 0 ? '' : (options[at + 1] ?? '')
}
