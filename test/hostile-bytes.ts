import { readFile } from 'node:fs/promises'
import { crc32, deflateSync } from 'node:zlib'
import { badFilm, bytes, film, make, remux } from './films.ts'

/**
 * Writes containers and pictures byte by byte, only as far as it is needed to lie in them: ISO base
 * media (ISO/IEC 14496-12), AVI, Matroska (RFC 9559), H.264 and PNG.
 */

export function concat(...parts: Buffer[]): Buffer {
  return Buffer.concat(parts)
}

function u32(...values: number[]): Buffer {
  const content = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) content.writeUInt32BE(value >>> 0, 4 * index)
  return content
}

export function box(type: string, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content)
  return concat(u32(body.length + 8), Buffer.from(type, 'latin1'), body)
}

export function fullBox(type: string, flags: number, ...content: Buffer[]): Buffer {
  return box(type, u32(flags), ...content)
}

export function ftyp(): Buffer {
  return box('ftyp', Buffer.from('isom\0\0\0\0isommp41', 'latin1'))
}

export function rdrf(url: string): Buffer {
  return fullBox('rdrf', 0, Buffer.from('url '), u32(url.length + 1), Buffer.from(`${url}\0`))
}

/** Written from the inside out: each is only as long as all that it contains. */
export function nested(type: string, depth: number, core: Buffer = Buffer.alloc(0)): Buffer {
  const content = Buffer.alloc(depth * 8 + core.length)
  for (let level = 0; level < depth; level += 1) {
    content.writeUInt32BE(content.length - level * 8, level * 8)
    content.write(type, level * 8 + 4, 'latin1')
  }
  core.copy(content, depth * 8)
  return content
}

interface Lies {
  width: number
  height: number
  /** JPEG pictures. */
  samples: Buffer[]
  /** How often the first sample is shown. */
  repeated?: number
  timescale?: number
  /** Ticks a sample. */
  delta?: number
  stszCount?: number
  sampleSize?: number
  samplesPerChunk?: number
  tracks?: number
  edits?: { claimed: number; lines: number }
  title?: string
}

/** A film of JPEGs; whatever it is shown several times is stored once. */
export async function mp4(lies: Lies): Promise<Buffer> {
  const { tracks = 1, timescale = 25, delta = 1, repeated = lies.samples.length, title } = lies
  const head = ftyp()
  const data = box('mdat', ...lies.samples)
  const track = (id: number): Buffer =>
    box(
      'trak',
      fullBox(
        'tkhd',
        3,
        u32(0, 0, id, 0, repeated * delta, 0, 0, 0, 0),
        MATRIX,
        u32(lies.width * 65_536, lies.height * 65_536),
      ),
      ...(lies.edits === undefined ? [] : [edits(lies.edits)]),
      box(
        'mdia',
        fullBox('mdhd', 0, u32(0, 0, timescale, repeated * delta, 0x55c40000)),
        fullBox('hdlr', 0, u32(0), Buffer.from('vide'), u32(0, 0, 0), Buffer.from('v\0')),
        box(
          'minf',
          fullBox('vmhd', 1, u32(0, 0)),
          box('dinf', fullBox('dref', 0, u32(1), fullBox('url ', 1))),
          samples(lies, head.length + 8, delta, repeated),
        ),
      ),
    )
  const named =
    title === undefined
      ? []
      : [box('udta', box('\xa9nam', u32((title.length & 0xffff) << 16), Buffer.from(title)))]
  const moov = box(
    'moov',
    fullBox(
      'mvhd',
      0,
      u32(0, 0, timescale, repeated * delta, 0x10000, 0x01000000, 0, 0),
      MATRIX,
      u32(0, 0, 0, 0, 0, 0, tracks + 1),
    ),
    ...Array.from({ length: tracks }, (_, index) => track(index + 1)),
    ...named,
  )
  return concat(head, data, moov)
}

const MATRIX = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

function samples(lies: Lies, dataAt: number, delta: number, repeated: number): Buffer {
  const { width, height, stszCount, samplesPerChunk = 1, sampleSize } = lies
  const sizes = Array.from(
    { length: repeated },
    (_, n) => (lies.samples[n] ?? lies.samples[0])?.length ?? 0,
  )
  const entry = concat(
    ...[u32(0, 1, 0, 0, 0, 0), u32(width * 65_536 + height, 0x480000, 0x480000, 0, 0x10000)],
    ...[Buffer.alloc(30), Buffer.from('0018ffff', 'hex')],
  )
  return box(
    'stbl',
    fullBox('stsd', 0, u32(1), box('jpeg', entry)),
    fullBox('stts', 0, u32(1, stszCount ?? repeated, delta)),
    fullBox('stsc', 0, u32(1, 1, samplesPerChunk, 1)),
    sampleSize === undefined
      ? fullBox('stsz', 0, u32(0, stszCount ?? repeated, ...sizes))
      : fullBox('stsz', 0, u32(sampleSize, stszCount ?? repeated)),
    fullBox('stco', 0, u32(repeated, ...sizes.map(() => dataAt))),
  )
}

function edits({ claimed, lines }: { claimed: number; lines: number }): Buffer {
  const line = u32(1, 0, 0x10000)
  return box(
    'edts',
    fullBox('elst', 0, u32(claimed), Buffer.concat(Array<Buffer>(lines).fill(line))),
  )
}

export async function small(): Promise<Pick<Lies, 'width' | 'height' | 'samples'>> {
  return { width: 128, height: 96, samples: [await readFile(await badFilm('jpeg picture'))] }
}

export async function jpegOf(width: number, height: number): Promise<Buffer> {
  const source = ['-f', 'lavfi', '-i', `color=gray:size=${width}x${height}`]
  const path = await make({ extension: 'jpg', args: [...source, '-frames:v', '1', '-q:v', '31'] })
  return readFile(path)
}

/** Replaces the data reference of every track; the index is last, so that no offset changes. */
export async function withDataReference(entry: Buffer): Promise<Buffer> {
  const content = await readFile(await film('h264 mov'))
  return rewritten(content, ['moov', 'trak', 'mdia', 'minf', 'dinf'], (type) =>
    type === 'dref' ? fullBox('dref', 0, u32(1), entry) : null,
  )
}

function rewritten(
  content: Buffer,
  containers: string[],
  replace: (type: string) => Buffer | null,
): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at + 8 <= content.length;) {
    const size = content.readUInt32BE(at)
    const type = content.toString('latin1', at + 4, at + 8)
    const body = content.subarray(at + 8, at + size)
    const whole = content.subarray(at, at + size)
    const isContainer = containers.includes(type)
    parts.push(
      replace(type) ?? (isContainer ? box(type, rewritten(body, containers, replace)) : whole),
    )
    at += size
  }
  return concat(...parts)
}

/** An alias record (version 2) with a POSIX path, tag 18. */
export function alias(path: string): Buffer {
  const head = Buffer.alloc(150)
  head.writeUInt16BE(2, 6)
  head.writeUInt8(4, 10)
  head.write('disk', 11, 'latin1')
  head.writeUInt8(4, 50)
  head.write('film', 51, 'latin1')
  head.writeInt16BE(2, 130)
  head.writeInt16BE(2, 132)
  const odd = path.length % 2 === 1 ? '\0' : ''
  const tag = (kind: number, text: string): Buffer =>
    concat(u32(kind * 65_536 + text.length), Buffer.from(text + odd))
  return concat(head, tag(18, path), u32(0xffff0000))
}

/* AVI (RIFF) */

function chunk(id: string, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content)
  const size = Buffer.alloc(4)
  size.writeUInt32LE(body.length)
  return concat(Buffer.from(id, 'latin1'), size, body, Buffer.alloc(body.length % 2))
}

function le32(...values: number[]): Buffer {
  const content = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) content.writeUInt32LE(value >>> 0, 4 * index)
  return content
}

const list = (id: string, ...content: Buffer[]): Buffer =>
  chunk('LIST', Buffer.from(id, 'latin1'), ...content)

/** Subtitles in an AVI are a whole file in one packet (GAB2), whose format ffmpeg guesses. */
export async function aviWithSubtitles(content: Buffer): Promise<Buffer> {
  const picture = await readFile(await badFilm('jpeg picture'))
  const strh = (type: string, codec: string): Buffer =>
    chunk('strh', Buffer.from(type + codec, 'latin1'), le32(0, 0, 0, 1, 25, 0, 25, 0, 0, 0, 0, 0))
  const bitmap = concat(
    le32(40, 128, 96),
    Buffer.from('01001800', 'hex'),
    Buffer.from('MJPG'),
    le32(0, 0, 0, 0, 0),
  )
  const name = Buffer.from('s\0u\0b\0\0\0', 'latin1')
  const gab2 = concat(
    ...[
      Buffer.from('GAB2\0\x02\0', 'latin1'),
      le32(name.length),
      name,
      Buffer.from('\x04\0', 'latin1'),
    ],
    ...[le32(content.length), content],
  )
  return chunk(
    'RIFF',
    Buffer.from('AVI '),
    list(
      'hdrl',
      chunk('avih', le32(40_000, 0, 0, 0x10, 25, 0, 2, 0, 128, 96, 0, 0, 0, 0)),
      list('strl', strh('vids', 'MJPG'), chunk('strf', bitmap)),
      list('strl', strh('txts', '\0\0\0\0'), chunk('strf', Buffer.alloc(0))),
    ),
    list('movi', chunk('01tx', gab2), ...Array<Buffer>(25).fill(chunk('00dc', picture))),
  )
}

/* Matroska (RFC 9559) */

function ebml(id: string, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content)
  const size = Buffer.alloc(8)
  size.writeBigUInt64BE(BigInt(body.length) | (1n << 56n))
  return concat(Buffer.from(id, 'hex'), size, body)
}

const text = (id: string, value: string): Buffer => ebml(id, Buffer.from(value))
const EBML_HEAD = ebml('1a45dfa3', text('4282', 'matroska'))

/** Its neighbours are said to be other files (§5.1.2, PrevFilename and NextFilename). */
export async function linkedMatroska(path: string): Promise<Buffer> {
  const content = await readFile(await film('h264 mkv'))
  const segmentAt = content.indexOf(Buffer.from('18538067', 'hex'))
  const linking = ebml(
    '1549a966',
    ...[ebml('2ad7b1', u32(1_000_000)), text('3c83ab', path), text('3e83bb', path)],
    ...[ebml('3cb923', Buffer.alloc(16, 1)), ebml('3eb923', Buffer.alloc(16, 2))],
  )
  const body = content.subarray(segmentAt + 12)
  return concat(content.subarray(0, segmentAt), ebml('18538067', linking, body))
}

export function manyTracks(count: number): Buffer {
  const entries = Array.from({ length: count }, (_, n) =>
    ebml(
      'ae',
      ...[ebml('d7', u32(n + 1)), ebml('73c5', u32(n + 1)), ebml('83', Buffer.from([1]))],
      ...[text('86', 'V_MJPEG'), ebml('e0', ebml('b0', u32(64)), ebml('ba', u32(64)))],
    ),
  )
  return concat(EBML_HEAD, ebml('18538067', ebml('1654ae6b', ...entries)))
}

export function deepMatroska(depth: number): Buffer {
  let content = Buffer.alloc(0)
  for (let level = 0; level < depth; level += 1) {
    const head = Buffer.alloc(10)
    head.writeUInt16BE(0x45b9) // EditionEntry, in itself
    head.writeBigUInt64BE((BigInt(depth - level) * 10n) | (1n << 56n), 2)
    content = level === 0 ? Buffer.alloc(depth * 10) : content
    head.copy(content, level * 10)
  }
  return concat(EBML_HEAD, ebml('18538067', ebml('1043a770', content)))
}

export async function patched(path: string, from: string, to: string): Promise<Buffer> {
  const content = Buffer.from(await readFile(path))
  const at = content.indexOf(Buffer.from(from, 'hex'))
  if (at < 0) throw new Error(`${from} is not in ${path}`)
  Buffer.from(to, 'hex').copy(content, at)
  return content
}

export async function copied(
  name: Parameters<typeof film>[0],
  extension: string,
  args: string[],
): Promise<string> {
  return remux(await film(name), extension, args)
}

/* Pictures */

/** H.264 of 64×64 pixels whose sequence parameter set (§7.3.2.1.1) tells another size. */
export async function h264Claiming(width: number, height: number): Promise<Buffer> {
  const args = '-f lavfi -i color=size=64x64:rate=25:duration=1 -c:v libx264 -profile:v baseline'
  const stream = await readFile(
    await make({ extension: 'h264', args: [...args.split(' '), '-bsf:v', 'h264_mp4toannexb'] }),
  )
  const units = stream
    .toString('latin1')
    .split('\0\0\x01')
    .map((unit) => unit.replace(/\0+$/, ''))
    .filter(Boolean)
  const lying = units.map((unit) =>
    (unit.charCodeAt(0) & 31) === 7 ? parameterSet(width, height).toString('latin1') : unit,
  )
  const path = await bytes(
    'h264',
    Buffer.from(lying.map((unit) => `\0\0\0\x01${unit}`).join(''), 'latin1'),
  )
  return readFile(await make({ extension: 'mkv', args: ['-f', 'h264', '-i', path, '-c', 'copy'] }))
}

function parameterSet(width: number, height: number): Buffer {
  const ue = (value: number): string => {
    const binary = (value + 1).toString(2)
    return '0'.repeat(binary.length - 1) + binary
  }
  const bits = [
    ...['01100111', '01000010', '11000000', '00111110', ue(0), ue(0), ue(2), ue(1), '0'],
    ...[ue(width / 16 - 1), ue(height / 16 - 1), '1', '1', '0', '0', '1'],
  ].join('')
  const whole = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0')
  return Buffer.from(whole.match(/.{8}/g)?.map((byte) => Number.parseInt(byte, 2)) ?? [])
}

/** One bit a pixel, all of them 0. */
export function png(width: number, height: number): Buffer {
  const part = (type: string, content: Buffer): Buffer => {
    const body = concat(Buffer.from(type, 'latin1'), content)
    return concat(u32(content.length), body, u32(crc32(body)))
  }
  return concat(
    Buffer.from('89504e470d0a1a0a', 'hex'),
    part('IHDR', concat(u32(width, height), Buffer.from('0100000000', 'hex'))),
    part('IDAT', deflateSync(Buffer.alloc(height * (Math.ceil(width / 8) + 1)))),
    part('IEND', Buffer.alloc(0)),
  )
}
