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
  const words = stem
    .replaceAll(/[._\s\0]+/g, ' ')
    .trim()
    .slice(0, 240)
  return words.isWellFormed() && words !== '' ? words : 'Untitled'
}

/** A client's file name is only ever shown: no folders, no controls, not endless. */
export function shownFileName(fileName: string | undefined): string {
  const name = (fileName ?? '').split(/[\\/]/).at(-1) ?? ''
  const clean = name
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, '')
    .slice(0, 255)
  return clean === '' ? 'unnamed' : clean
}

export function missingFile(): Error {
  return invalid({ video_file: [MESSAGES.required] })
}
