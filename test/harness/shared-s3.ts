import { inject } from 'vitest'
import { serviceAt, type S3Service } from './s3.ts'

let shared: Promise<S3Service> | undefined

/** The S3 of this run: one for all journeys, a bucket for each. */
export function sharedS3(): Promise<S3Service> {
  shared ??= find()
  return shared
}

async function find(): Promise<S3Service> {
  const reply = await fetch(inject('sharedS3'))
  const text = await reply.text()
  if (!reply.ok) throw new Error(text)
  return serviceAt(text)
}
