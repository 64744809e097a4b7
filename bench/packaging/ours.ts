import { join } from 'node:path'
import { packageFile } from '../../server/src/media/mp4/package-file.ts'

/** A process that packages: `ours.ts VIDEO AUDIO DIRECTORY`. */
const [path = '', audioPath = '', directory = ''] = process.argv.slice(2)
const { signal } = new AbortController()
const outputPath = join(directory, 'film.mp4')
await packageFile({ video: [{ path, startSeconds: 0 }], audioPath, outputPath, signal })
