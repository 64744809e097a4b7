import { expect, test } from 'vitest'
import { film } from '../../../../test/films.ts'
import { temporaryFolder } from '../../../../test/harness/temporary-folder.ts'
import { findFiles, inspectFiles } from './inspect-video.ts'
import type { LegacyMedia } from './legacy-media.ts'
import { legacyVideo } from './legacy-rows.ts'

const video = legacyVideo.parse({
  ...{ id: 7, title: 'Film', created_at: '2025-04-05 06:07:08' },
  ...{ video_file: 'film.mp4', image_file: 'picture.jpg' },
})
const tools = { ffmpegBin: 'ffmpeg', ffprobeBin: 'ffprobe' }

/** Root may read everything: so files are refused as the system does it, or have gone. */
async function mediaWith(findPicture: () => ReturnType<LegacyMedia['find']>): Promise<LegacyMedia> {
  const path = await film('h264 mp4')
  const original = { name: 'film.mp4', fetch: () => Promise.resolve(path) }
  return {
    find: (told) => (told === 'picture.jpg' ? findPicture() : Promise.resolve(original)),
    isLocal: true,
    close() {},
  }
}

test.each([
  [
    'in a folder that may not be searched',
    () => Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' })),
    'its picture picture.jpg cannot be read (EACCES): one is made of the film',
  ],
  [
    'that may not be opened',
    () => Promise.resolve({ name: 'picture.jpg', fetch: () => Promise.resolve('/nowhere/it.jpg') }),
    'its picture /nowhere/it.jpg cannot be read (ENOENT): one is made of the film',
  ],
])('a picture %s is told, and the film is taken over', async (_name, findPicture, notice) => {
  await using folder = await temporaryFolder()
  const files = await findFiles(await mediaWith(findPicture), video)
  const signal = AbortSignal.timeout(60_000)
  const inspected = await inspectFiles({ tools, workDir: folder.path, signal }, files)
  expect(inspected).toMatchObject({ image: null, failure: null, notices: [notice] })
  expect(inspected.original?.film?.info.video.codec).toBe('h264')
})
