import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { AppError } from '../../errors.ts'

export const MANIFEST_FILE = 'manifest.json'
export const OBJECTS_FILE = 'objects.jsonl'

const writtenFile = z.object({
  lines: z.int().nonnegative(),
  sizeBytes: z.int().nonnegative(),
  sha256: z.string(),
})

/** What a snapshot consists of. Written last: a folder without it is not a snapshot. */
export const manifest = z.object({
  format: z.literal('videoflix-backup'),
  version: z.literal(1),
  createdAt: z.string(),
  madeBy: z.string(),
  engine: z.enum(['sqlite', 'postgres']),
  /** Versions of the schema that were applied, oldest first. */
  schema: z.array(z.string()),
  /** In the order in which they can be inserted; each is the file `<name>.jsonl`. */
  tables: z.array(writtenFile.extend({ name: z.string().regex(/^[a-z_0-9]+$/) })),
  /** The last id given, by table. */
  lastIds: z.record(z.string(), z.int()),
  /** Of what `objects.jsonl` lists. */
  objects: writtenFile.extend({
    totalBytes: z.int().nonnegative(),
    missing: z.int().nonnegative(),
    /** Whether the objects lie in the backup as well. */
    areCopied: z.boolean(),
  }),
})
export type Manifest = z.infer<typeof manifest>

/** A line of `objects.jsonl`. */
export const objectLine = z.object({
  store: z.enum(['media', 'originals']),
  key: z.string(),
  /** Null where a row names it and it is not there. */
  sizeBytes: z.int().nullable(),
  sha256: z.string().optional(),
})
export type ObjectLine = z.infer<typeof objectLine>

/** Throws `invalid` with a sentence for what is none of ours, or of a later version. */
export async function readManifest(folder: string): Promise<Manifest> {
  const text = await readFile(join(folder, MANIFEST_FILE), 'utf8').catch(() => {
    throw new AppError('invalid', `There is no ${MANIFEST_FILE} in ${folder}: it is no backup.`)
  })
  const parsed = manifest.safeParse(asJson(text))
  if (parsed.success) return parsed.data
  throw new AppError(
    'invalid',
    `${join(folder, MANIFEST_FILE)} is damaged, or was written by another version of Videoflix.`,
  )
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
