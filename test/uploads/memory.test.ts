import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { Client } from '../harness/client.ts'
import { startServer } from '../harness/process.ts'
import { until } from '../videos/library.ts'

const MIB = 1 << 20
const TOTAL_MIB = 300
const ALLOWED_MIB = 100

/** 300 MB that exist nowhere at once: a form around a stream. */
function largeForm(title: string): ReadableStream<Uint8Array> {
  const text = (content: string): Uint8Array => new TextEncoder().encode(content)
  const head =
    `--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n${title}\r\n` +
    '--b\r\nContent-Disposition: form-data; name="video_file"; filename="large.mp4"\r\n\r\n'
  let sentMib = 0
  return new ReadableStream({
    start: (body) => body.enqueue(text(head)),
    pull(body) {
      if (sentMib < TOTAL_MIB) body.enqueue(new Uint8Array(MIB))
      else {
        body.enqueue(text('\r\n--b--\r\n'))
        body.close()
      }
      sentMib += 1
    },
  })
}

function zeros(): ReadableStream<Uint8Array> {
  let sentMib = 0
  return new ReadableStream({
    pull(body) {
      if (sentMib < TOTAL_MIB) body.enqueue(new Uint8Array(MIB))
      else body.close()
      sentMib += 1
    },
  })
}

test.skipIf(process.platform !== 'linux')(
  'memory stays flat while 300 MB stream in, as a form and by tus',
  async () => {
    const credentials = { email: 'admin@example.com', password: 'correct horse battery' }
    await using server = await startServer({
      env: {
        DJANGO_SUPERUSER_EMAIL: credentials.email,
        DJANGO_SUPERUSER_PASSWORD: credentials.password,
        TRANSCODE_LOCALLY: 'False',
        MIN_FREE_DISK_BYTES: '0',
      },
    })
    const admin = new Client(server.url)
    expect((await admin.post('/users/login/', credentials)).status).toBe(200)
    const beforeMib = await residentMib(server.pid)
    const largest = watch(server.pid)

    const form = await admin.request('/admin/api/videos/', {
      method: 'POST',
      body: largeForm('As a form'),
      duplex: 'half',
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
    })
    expect(form.status).toBe(201)

    const created = await admin.request('/admin/api/uploads/', {
      method: 'POST',
      headers: { 'tus-resumable': '1.0.0', 'upload-length': String(TOTAL_MIB * MIB) },
    })
    const sent = await admin.request(created.headers.get('location') ?? '', {
      method: 'PATCH',
      body: zeros(),
      duplex: 'half',
      headers: {
        'tus-resumable': '1.0.0',
        'upload-offset': '0',
        'content-type': 'application/offset+octet-stream',
      },
    })
    expect(sent.status).toBe(204)
    expect(sent.headers.get('x-video-id')).toMatch(/^\d+$/)
    expect((await largest.stop()) - beforeMib).toBeLessThan(ALLOWED_MIB)
  },
)

async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024
}

/** Looks until it is stopped; then tells the most there was. */
function watch(pid: number): { stop(): Promise<number> } {
  let most = 0
  let isStopped = false
  const watching = until(
    async () => {
      most = Math.max(most, await residentMib(pid))
      return isStopped
    },
    'the end',
    170_000,
  )
  return {
    async stop() {
      isStopped = true
      await watching
      return most
    },
  }
}
