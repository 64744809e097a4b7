import fc from 'fast-check'
import { spoil, text } from './odd-values.ts'
import type { FuzzRequest } from './requests.ts'

const seldom = (arbitrary: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

/** What is said about a film: mostly what is taken, as far as to the database. */
const aboutFilm = fc
  .record({
    title: fc.option(text, { nil: undefined }),
    description: fc.option(text, { nil: undefined }),
    category: seldom(text),
    sha256: seldom(text),
    video: seldom(text),
    x: seldom(text),
  })
  .map((fields) => Object.entries(fields).filter(([, value]) => value !== undefined))
  .map((fields) => fields as [string, string][])

const byPost = (headers: Record<string, string>, path: string, body: Buffer | null) =>
  ({ who: 'superuser', method: 'POST', path, headers, body }) as const satisfies FuzzRequest

/** With a file that is no film. */
export const filmForm = fc.tuple(aboutFilm, text).chain(([fields, fileName]) => {
  const headerText = fileName.replaceAll(/[\r\n"]/g, '_')
  const parts = [
    ...fields.map(([name, value]) => [`name="${name}"`, value]),
    [`name="video_file"; filename="${headerText}"`, 'no film'],
  ].map(([head, body]) => `--x\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`)
  const headers = { 'content-type': 'multipart/form-data; boundary=x' }
  return spoil(Buffer.from(`${parts.join('')}--x--\r\n`)).map((body) =>
    byPost(headers, '/admin/api/videos/', body),
  )
})

/** Begun, or sent whole. */
export const tusUpload = fc
  .tuple(aboutFilm, fc.option(text, { nil: undefined }), fc.boolean())
  .map(([fields, filename, isWhole]) => {
    const metadata = [...fields, ...(filename === undefined ? [] : [['filename', filename]])]
      .map(([name, value]) => `${name} ${Buffer.from(value ?? '').toString('base64')}`)
      .join(',')
    const body = isWhole ? Buffer.from('12345') : null
    const type = body && { 'content-type': 'application/offset+octet-stream' }
    const about = { 'upload-length': '5', ...(metadata && { 'upload-metadata': metadata }) }
    return byPost({ 'tus-resumable': '1.0.0', ...about, ...type }, '/admin/api/uploads/', body)
  })
