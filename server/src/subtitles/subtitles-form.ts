import type { MultipartFile } from '@fastify/multipart'
import { MESSAGES, subtitlesFields, type SubtitlesFields } from '@videoflix/contract'
import { errorCodes, type FastifyRequest } from 'fastify'
import { AppError, invalid } from '../errors.ts'
import { MAX_BYTES, tooLarge } from './webvtt.ts'

/** Subtitles are small: they are read into memory. */
export const FORM_LIMITS = {
  throwFileSizeLimit: false,
  limits: { files: 1, fields: 10, fieldSize: 4096, fileSize: MAX_BYTES, parts: 12 },
}

/** The parts of the form, for the documentation: they are read as they arrive. */
export const SUBTITLES_FORM = {
  type: 'object',
  required: ['file', 'language'],
  properties: {
    file: { type: 'string', format: 'binary', description: 'SubRip or WebVTT, at most 2 MB' },
    language: { type: 'string', description: 'BCP 47 or ISO 639-2: `de`, `pt-BR`, `ger`' },
    label: { type: 'string', description: 'For people; the name of the language if absent' },
    is_forced: { type: 'string', enum: ['true', 'false'], default: 'false' },
  },
}

/** Throws `invalid` with what is wrong under each field. */
export async function readSubtitlesForm(
  request: FastifyRequest,
): Promise<{ file: Buffer; fields: SubtitlesFields }> {
  if (!request.isMultipart()) {
    throw new errorCodes.FST_ERR_CTP_INVALID_MEDIA_TYPE(request.headers['content-type'] ?? '')
  }
  try {
    return await readParts(request)
  } catch (error) {
    // The client reads the answer only when it has sent what it wanted to.
    request.raw.unpipe()
    request.raw.resume()
    throw asFormError(error)
  }
}

async function readParts(
  request: FastifyRequest,
): Promise<{ file: Buffer; fields: SubtitlesFields }> {
  const given = new Map<string, string>()
  let file: Buffer | undefined
  for await (const part of request.parts()) {
    if (part.type === 'file' && part.fieldname === 'file') file ??= await bytesOf(part)
    else if (part.type === 'file') part.file.resume()
    else given.set(part.fieldname, String(part.value))
  }
  const parsed = subtitlesFields.safeParse({
    language: given.get('language'),
    label: given.get('label') || undefined,
    is_forced: flagOf(given.get('is_forced')),
  })
  if (parsed.success && file) return { file, fields: parsed.data }
  const issues = parsed.error?.issues ?? []
  throw invalid({
    ...(!file && { file: [MESSAGES.required] }),
    ...Object.fromEntries(issues.map(({ path, message }) => [String(path[0]), [message]])),
  })
}

async function bytesOf(part: MultipartFile): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of part.file) chunks.push(chunk as Buffer)
  if (part.file.truncated) throw tooLarge()
  return Buffer.concat(chunks)
}

/** A form knows nothing but text. */
function flagOf(value: string | undefined): unknown {
  if (value === undefined || value === '') return undefined
  return value === 'true' ? true : value === 'false' ? false : value
}

/** The parser's errors are told apart by their having no code, or one of its own. */
function asFormError(error: unknown): unknown {
  const { code } = error as { code?: string }
  if (error instanceof AppError) return error
  if (code === 'FST_FILES_LIMIT') return invalid({ file: ['Send one file at a time.'] })
  if (code !== undefined && !code.startsWith('FST_')) return error
  return invalid({
    non_field_errors: ['This is no whole form (multipart/form-data): send it again.'],
  })
}
