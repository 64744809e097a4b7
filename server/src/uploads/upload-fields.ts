import { basename, extname } from 'node:path'
import { MESSAGES, videoFields, type VideoFields } from '@videoflix/contract'
import { invalid } from '../errors.ts'
import { titleTaken, type Library } from '../videos/library.ts'

/**
 * What a form or an upload says about a video. Without a title, the file's name makes one. Throws `invalid` with fields,
 * also when the title is taken.
 */
export async function readVideoFields(
  given: Record<string, string | undefined>,
  fileName: string | undefined,
  library: Library,
): Promise<VideoFields> {
  const isUntitled = given['title'] === undefined && fileName !== undefined
  const title = isUntitled ? titleOf(fileName) : given['title']
  const parsed = videoFields.safeParse({
    title,
    description: given['description'],
    category: given['category'],
  })
  if (!parsed.success) {
    const fields: Record<string, string[]> = {}
    for (const { path, message } of parsed.error.issues) {
      ;(fields[String(path[0])] ??= []).push(message)
    }
    throw invalid(fields)
  }
  if (isUntitled) return { ...parsed.data, title: await library.freeTitle(parsed.data.title) }
  if (await library.isTitleTaken(parsed.data.title)) throw titleTaken()
  return parsed.data
}

/** `holiday_2024.final.mp4` → `holiday 2024 final` */
export function titleOf(fileName: string): string {
  const stem = basename(fileName, extname(fileName))
  const words = first(
    240,
    stem
      .toWellFormed()
      .replaceAll(/[._\s\p{Cc}]+/gu, ' ')
      .trim(),
  )
  return words === '' ? 'Untitled' : words
}

/** A client's file name is only ever shown: no folders, no controls, not endless. */
export function shownFileName(fileName: string | undefined): string {
  const name = (fileName ?? '').split(/[\\/]/).at(-1) ?? ''
  const clean = first(255, name.toWellFormed().replaceAll(/\p{Cc}/gu, ''))
  return clean === '' ? 'unnamed' : clean
}

/** Counted in code points: half of a pair is no text. */
function first(count: number, text: string): string {
  return [...text].slice(0, count).join('')
}

/** The checksum that a client promises, in lower case. Throws `invalid` before a byte is sent in vain. */
export function readSha256(given: string | null | undefined): string | null {
  if (given === undefined || given === null || given === '') return null
  if (/^[0-9a-f]{64}$/i.test(given)) return given.toLowerCase()
  throw invalid({ sha256: ['Write the SHA-256 of the file as 64 hexadecimal digits.'] })
}

export function missingFile(): Error {
  return invalid({ video_file: [MESSAGES.required] })
}
