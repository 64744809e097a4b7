import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { bytes } from '../films.ts'
import { startApp } from '../harness/app.ts'
import { adminVideo, allDone, upload } from '../videos/library.ts'
import { aCopyableFilmWithSubtitles } from './library.ts'

test('loop', async () => {
  await using app = await startApp({ backend: 'postgres', env: { JOB_ATTEMPTS: '1', CHUNK_MIN_DURATION: '600' } })
  const superuser = await app.superuser()
  const whole = await readFile(await aCopyableFilmWithSubtitles())
  whole.fill(0xff, whole.indexOf('Hello'), whole.indexOf('Hello') + 5)
  const path = await bytes('mp4', whole)
  for (let i = 0; i < 25; i += 1) {
    const { id } = await upload(superuser, { path })
    await allDone(app)
    const video = await adminVideo(superuser, id)
    if (video.processing_state === 'ready') continue
    console.log(i, JSON.stringify(video.source?.steps.map((s) => [s.name, s.state, s.attempts, s.error])), video.processing_state)
    const tasks = await app.app.db.selectFrom('tasks').select(['id', 'kind', 'outcome', 'attempts', 'failures', 'due_at', 'finished_at', 'lease_owner', 'last_error']).where('subject', '=', `video:${id}`).execute()
    console.log(new Date(), JSON.stringify(tasks, null, 1))
    console.log(JSON.stringify(app.logs.filter((l) => Number(l['level']) >= 20).slice(-15)))
    await new Promise((r) => setTimeout(r, 3000))
    console.log('later', (await adminVideo(superuser, id)).processing_state)
    expect(video.processing_state).toBe('ready')
  }
})
