import { readFile } from 'node:fs/promises'
import { badFilm, bytes, film, make, remux } from './films.ts'
import {
  alias,
  aviWithSubtitles,
  box,
  concat,
  copied,
  deepMatroska,
  ftyp,
  fullBox,
  h264Claiming,
  jpegOf,
  linkedMatroska,
  manyTracks,
  mp4,
  nested,
  patched,
  png,
  rdrf,
  small,
  withDataReference,
} from './hostile-bytes.ts'

/**
 * Files made to do harm: to read what is not theirs, to reach a network, or to use up time, memory
 * or disk. Those that name something of the test's are made anew; the others are kept with the films.
 */

/** What the readers among them are after. */
export interface Bait {
  /** Of somebody else's film; absolute. */
  originalPath: string
  /** Of a text; absolute. */
  secretPath: string
  /** `http://127.0.0.1:PORT` */
  url: string
}

interface Hostile {
  /** `refused`: must end in `error`. `harmless`: may also become a film, of its own content. */
  is: 'refused' | 'harmless'
  file: (bait: Bait) => Promise<Buffer | string>
  /** The name it is uploaded by. */
  name?: string
}

/** The NUL keeps it from being refused as text before ffmpeg sees it, and hides nothing before it. */
function script(...lines: string[]): Buffer {
  return Buffer.from(`${lines.join('\n')}\n#\0\n`)
}

const refused = (file: Hostile['file'], name?: string): Hostile => ({
  is: 'refused',
  file,
  ...(name === undefined ? {} : { name }),
})
const harmless = (file: Hostile['file']): Hostile => ({ is: 'harmless', file })

/** A playlist of HTTP Live Streaming (RFC 8216) whose segments are these. */
function hls(uris: string[], ...tags: string[]): Buffer {
  const head = ['#EXTM3U', '#EXT-X-VERSION:7', '#EXT-X-TARGETDURATION:2', '#\0', ...tags]
  return script(...head, ...uris.flatMap((uri) => ['#EXTINF:2,', uri]), '#EXT-X-ENDLIST')
}

function dash(baseUrl: string): Buffer {
  return script(
    '<?xml version="1.0"?>',
    '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:full:2011" type="static" mediaPresentationDuration="PT2S">',
    `<Period><AdaptationSet contentType="video"><Representation id="1" bandwidth="1" codecs="avc1">`,
    `<BaseURL>${baseUrl}</BaseURL></Representation></AdaptationSet></Period></MPD>`,
  )
}

const XML = '<?xml version="1.0"?>'
const SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'

/** They name another file or an address, and hope that it is opened. */
const READERS = {
  'playlist of a film': refused(async ({ originalPath }) => hls([originalPath])),
  'playlist of a file: URL': refused(async ({ originalPath }) => hls([`file://${originalPath}`])),
  'playlist named mkv': refused(async ({ originalPath }) => hls([originalPath]), 'film.mkv'),
  'playlist named avi': refused(async ({ originalPath }) => hls([originalPath]), 'film.avi'),
  'playlist named txt': refused(async ({ originalPath }) => hls([originalPath]), 'film.txt'),
  'playlist named m3u8': refused(async ({ originalPath }) => hls([originalPath]), 'film.m3u8'),
  'playlist of a text': refused(async ({ secretPath }) => hls([secretPath])),
  'playlist over http': refused(async ({ url }) => hls([`${url}/segment.ts`])),
  'playlist over tcp': refused(async ({ url }) => hls([url.replace('http', 'tcp')])),
  'playlist with a key': refused(async ({ url, originalPath }) =>
    hls([originalPath], `#EXT-X-KEY:METHOD=AES-128,URI="${url}/key"`),
  ),
  'playlist with an initialisation': refused(async ({ url, originalPath }) =>
    hls([originalPath], `#EXT-X-MAP:URI="${url}/init.mp4"`),
  ),
  'playlist of playlists': refused(async ({ url }) =>
    script('#EXTM3U', '#EXT-X-STREAM-INF:BANDWIDTH=1', `${url}/other.m3u8`),
  ),
  'playlist of concat:': refused(async ({ secretPath, url }) =>
    hls([`concat:${url}/head|${secretPath}`]),
  ),
  'playlist of subfile': refused(async ({ originalPath }) =>
    hls([`subfile,,start,0,end,100000,,:${originalPath}`]),
  ),
  'playlist of crypto:': refused(async ({ originalPath }) => hls([`crypto:${originalPath}`])),
  'playlist of data:': refused(async () =>
    hls([`data:video/mp2t;base64,${(await readFile(await film('h264 ts'))).toString('base64')}`]),
  ),
  'dash of a film': refused(async ({ originalPath }) => dash(`file://${originalPath}`)),
  'dash over http': refused(async ({ url }) => dash(`${url}/film.mp4`)),
  sdp: refused(async ({ url }) =>
    script(
      ...['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=x', 'c=IN IP4 127.0.0.1', 't=0 0'],
      ...[`m=video ${new URL(url).port} RTP/AVP 96`, 'a=rtpmap:96 H264/90000'],
    ),
  ),
  ffconcat: refused(async ({ originalPath }) =>
    script('ffconcat version 1.0', `file ${originalPath}`),
  ),
  'ffconcat of a file: URL': refused(async ({ originalPath }) =>
    script('ffconcat version 1.0', `file 'file://${originalPath}'`),
  ),
  'ffconcat over http': refused(async ({ url }) =>
    script('ffconcat version 1.0', `file '${url}/film.mp4'`),
  ),
  'concat script': refused(async ({ originalPath }) => script(`file '${originalPath}'`)),
  'vector picture with a link': refused(async ({ secretPath }) =>
    script(XML, `${SVG} width="64" height="64">`, `<image xlink:href="${secretPath}"/></svg>`),
  ),
  'entity of a file': refused(async ({ secretPath }) =>
    script(`${XML}<!DOCTYPE x [<!ENTITY e SYSTEM "file://${secretPath}">]><MPD>&e;</MPD>`),
  ),
  'composition playlist': refused(async ({ originalPath }) =>
    script(`${XML}<CompositionPlaylist><Id>${originalPath}</Id></CompositionPlaylist>`),
  ),
  'windows media redirector': refused(async ({ url }) =>
    script('[Reference]', `Ref1=${url}/film.wmv`),
  ),
  'real media redirector': refused(async ({ url }) => script(`${url}/film.rm`)),
  'pictures of VobSub': refused(async ({ originalPath }) =>
    script('# VobSub index file, v7', `id: en, index: 0`, `# ${originalPath}`),
  ),
  'script of AviSynth': refused(async ({ originalPath }) => script(`AviSource("${originalPath}")`)),
  'graph of lavfi': refused(async ({ originalPath }) => script(`movie=${originalPath}`)),
  'name of an image sequence': refused(() => badFilm('picture'), 'picture-%03d.png'),
  'name of a protocol': refused(async () => Buffer.from('x'), 'concat:a|b.mp4'),
  'terminal art': refused(async () => Buffer.from('\x1b[2J\x1b[31mHello\0\x1b[0m\r\n'.repeat(200))),
  'terminal art, binary': refused(async () => {
    const head = Buffer.from('XBIN\x1a\x50\x00\x19\x00\x10\x00', 'latin1')
    return Buffer.concat([head, Buffer.alloc(4000, 'A\x07', 'latin1')])
  }),
  'playlist as subtitles of an AVI': harmless(async ({ originalPath }) =>
    aviWithSubtitles(hls([originalPath])),
  ),
  'text as subtitles of an AVI': harmless(async ({ url }) =>
    aviWithSubtitles(hls([`${url}/segment.ts`]).subarray(8)),
  ),
  'mov whose data are elsewhere': harmless(async ({ originalPath }) =>
    withDataReference(fullBox('url ', 0, Buffer.from(`file://${originalPath}\0`))),
  ),
  'mov whose data are on a server': harmless(async ({ url }) =>
    withDataReference(fullBox('url ', 0, Buffer.from(`${url}/film.mov\0`))),
  ),
  'mov whose data are behind an alias': harmless(async ({ originalPath }) =>
    withDataReference(fullBox('alis', 0, alias(originalPath))),
  ),
  'mov that refers to a film': refused(async ({ originalPath }) =>
    concat(ftyp(), box('moov', box('rmra', box('rmda', rdrf(`file://${originalPath}`))))),
  ),
  'mov that refers to a server': refused(async ({ url }) =>
    concat(ftyp(), box('moov', box('rmra', box('rmda', rdrf(`${url}/film.mov`))))),
  ),
  'matroska linked with a film': harmless(async ({ originalPath }) => linkedMatroska(originalPath)),
  'matroska with attachments': harmless(async ({ secretPath }) =>
    remux(await film('h264 mkv'), 'mkv', [
      ...['-attach', secretPath, '-metadata:s:t', 'mimetype=application/x-sh'],
      ...['-metadata:s:t', 'filename=../../../../etc/cron.d/evil'],
    ]),
  ),
} satisfies Record<string, Hostile>

const FEW = '-f lavfi -i testsrc2=size=192x144:rate=25:duration=0.4'.split(' ')

/** Formats that nobody uploads, with decoders that few people look at. */
const STRANGERS = {
  mxf: refused(() => make({ extension: 'mxf', args: [...FEW, '-c:v', 'mpeg2video'] })),
  nut: refused(() => badFilm('unknown format')),
  yuv4mpeg: refused(() => make({ extension: 'y4m', args: [...FEW, '-pix_fmt', 'yuv420p'] })),
  ivf: refused(() => make({ extension: 'ivf', args: [...FEW, '-c:v', 'libvpx'] })),
  'animated png': refused(() => make({ extension: 'apng', args: [...FEW, '-f', 'apng'] })),
  'raw h264': refused(() => make({ extension: 'h264', args: [...FEW, '-c:v', 'libx264'] })),
  'magicyuv in avi': refused(() =>
    make({ extension: 'avi', args: [...FEW, '-c:v', 'magicyuv', '-pix_fmt', 'yuv420p'] }),
  ),
  'ffv1 in mkv': refused(() => make({ extension: 'mkv', args: [...FEW, '-c:v', 'ffv1'] })),
  'png in mov': refused(() => make({ extension: 'mov', args: [...FEW, '-c:v', 'png'] })),
  'snow in avi': refused(() =>
    make({ extension: 'avi', args: [...FEW, '-c:v', 'snow', '-strict', '-2'] }),
  ),
} satisfies Record<string, Hostile>

const HUGE = 0xff_ff_ff_ff

/** They say more than is true, or a lot more than anybody needs. */
const BOMBS = {
  'a picture of 144 megapixels': refused(async () =>
    mp4({ width: 12_000, height: 12_000, samples: [await jpegOf(12_000, 12_000)] }),
  ),
  '3,000 pictures of 144 megapixels': refused(async () => {
    const sample = await jpegOf(12_000, 12_000)
    return mp4({ width: 64, height: 64, samples: [sample], repeated: 3000 })
  }),
  'small by its container, 144 megapixels by its picture': refused(async () =>
    mp4({ width: 64, height: 64, samples: [await jpegOf(12_000, 12_000)] }),
  ),
  'H.264 that claims 144 megapixels': refused(() => h264Claiming(12_000, 12_000)),
  'H.264 that claims 256 megapixels': refused(() => h264Claiming(16_000, 16_000)),
  '8000×4 pixels': refused(async () =>
    mp4({ width: 8000, height: 4, samples: [await jpegOf(8000, 4)] }),
  ),
  'a second that spans a day': refused(() => badFilm('gap bomb without duration')),
  'a day between two pictures': refused(async () =>
    mp4({ ...(await small()), repeated: 2, timescale: 1, delta: 86_400 }),
  ),
  'the longest of all pictures': harmless(async () =>
    mp4({ ...(await small()), repeated: 3, timescale: 1, delta: HUGE }),
  ),
  'twenty thousand pictures at once': harmless(async () =>
    mp4({ ...(await small()), repeated: 20_000, timescale: 1_000_000, delta: 0 }),
  ),
  'a clock of 0 ticks': harmless(async () =>
    mp4({ ...(await small()), repeated: 5, timescale: 0 }),
  ),
  'timestamps near the end of all numbers': refused(() =>
    copied('h264 mkv', 'mkv', ['-output_ts_offset', '9000000000000']),
  ),
  'matroska with ticks of 292 years': harmless(async () =>
    patched(await film('h264 mkv'), '2ad7b1830f4240', '2ad7b183ffffff'),
  ),
  'matroska that lasts for ever': harmless(async () => {
    const content = Buffer.from(await readFile(await film('h264 mkv')))
    const at = content.indexOf(Buffer.from('448988', 'hex'))
    content.writeDoubleBE(Infinity, at + 3)
    return content
  }),
  'four thousand tracks': harmless(async () => mp4({ ...(await small()), tracks: 4000 })),
  'four thousand tracks in matroska': harmless(async () => manyTracks(4000)),
  'thirty thousand boxes, each in the other': harmless(async () =>
    concat(ftyp(), nested('moov', 30_000)),
  ),
  'two thousand tables of contents, each in the other': harmless(async () =>
    concat(ftyp(), nested('udta', 2000, box('meta', Buffer.alloc(16)))),
  ),
  'EBML, twenty thousand deep': refused(async () => deepMatroska(20_000)),
  'four billion samples': harmless(async () => mp4({ ...(await small()), stszCount: HUGE })),
  'two hundred million samples of one byte': harmless(async () =>
    mp4({
      ...(await small()),
      stszCount: 200_000_000,
      samplesPerChunk: 200_000_000,
      sampleSize: 1,
    }),
  ),
  'an edit list of four billion lines': harmless(async () =>
    mp4({ ...(await small()), edits: { claimed: HUGE, lines: 4 } }),
  ),
  'an edit list of a hundred thousand lines': harmless(async () =>
    mp4({ ...(await small()), repeated: 10, edits: { claimed: 100_000, lines: 100_000 } }),
  ),
  'boxes larger than any disk': harmless(async () => {
    const content = Buffer.from(await mp4({ ...(await small()), repeated: 5 }))
    content.writeUInt32BE(0x7f_ff_ff_ff, content.indexOf('stsd', 0, 'latin1') - 4)
    return content
  }),
  'an AVI that claims four billion pictures': harmless(async () => {
    const content = Buffer.from(await readFile(await film('mpeg4 avi')))
    content.writeUInt32LE(HUGE, content.indexOf('avih', 0, 'latin1') + 8 + 16)
    return content
  }),
  'an FLV with endless tags': harmless(async () => {
    const content = Buffer.from(await readFile(await film('flv1 flv')))
    content.writeUIntBE(0xff_ff_ff, 14, 3)
    return content
  }),
  'an ASF of nothing but its first letters': refused(async () =>
    concat(Buffer.from('3026b2758e66cf11a6d900aa0062ce6c', 'hex'), Buffer.alloc(64, 0xff)),
  ),
  'an Ogg of nothing but pages': refused(async () =>
    Buffer.concat(
      Array<Buffer>(5000).fill(Buffer.from(`OggS\0\x02${'\0'.repeat(20)}\x01\x00`, 'latin1')),
    ),
  ),
  'a transport stream of nothing but packets': refused(async () =>
    Buffer.alloc(
      188 * 20_000,
      Buffer.concat([Buffer.from('47400010', 'hex'), Buffer.alloc(184, 0xff)]),
    ),
  ),
  'eight megabytes of title': harmless(async () =>
    mp4({ ...(await small()), repeated: 10, title: 'A'.repeat(8_000_000) }),
  ),
  'ten thousand chapters': harmless(async () => {
    const chapters = Array.from(
      { length: 10_000 },
      (_, n) => `[CHAPTER]\nTIMEBASE=1/10000\nSTART=${n}\nEND=${n + 1}\ntitle=${n}`,
    )
    const list = await bytes('ffmeta', Buffer.from([';FFMETADATA1', ...chapters].join('\n')))
    return remux(await film('h264 mp4'), 'mkv', ['-map_metadata', '1', '-map_chapters', '1'], list)
  }),
  'fifty thousand subtitles': harmless(async () => {
    const line = (n: number): string => `${n}\n00:00:00,000 --> 00:00:01,000\n${'X'.repeat(40)}\n`
    const srt = await bytes(
      'srt',
      Buffer.from(Array.from({ length: 50_000 }, (_, n) => line(n)).join('\n')),
    )
    return remux(await film('h264 mp4'), 'mkv', ['-map', '0', '-map', '1'], srt)
  }),
  'a cover of 225 megapixels': harmless(async () => {
    const cover = await bytes('png', png(15_000, 15_000))
    const options = ['-map', '0', '-map', '1', '-disposition:v:1', 'attached_pic']
    return remux(await film('h264 mp4'), 'mp4', options, cover)
  }),
  'three hundred covers': harmless(async () => {
    const cover = await badFilm('jpeg picture')
    const attach = Array.from({ length: 300 }, (_, n) => [
      ...['-attach', cover, `-metadata:s:t:${n}`, 'mimetype=image/jpeg'],
      ...[`-metadata:s:t:${n}`, `filename=cover${n}.jpg`],
    ])
    return remux(await film('h264 mkv'), 'mkv', attach.flat())
  }),
} satisfies Record<string, Hostile>

const ALL: Record<string, Hostile> = { ...READERS, ...STRANGERS, ...BOMBS }

export const readers = Object.keys(READERS)
export const hostileFilms = Object.keys(ALL)

export interface HostileFile {
  content: Buffer
  /** The name it is uploaded by. */
  name: string
  mustFail: boolean
}

export async function hostileFilm(name: string, bait: Bait): Promise<HostileFile> {
  const hostile = ALL[name]
  if (hostile === undefined) throw new Error(`no such hostile film: ${name}`)
  const made = await hostile.file(bait)
  return {
    content: typeof made === 'string' ? await readFile(made) : made,
    name: hostile.name ?? 'film.mp4',
    mustFail: hostile.is === 'refused',
  }
}
