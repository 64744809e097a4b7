import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import { startS3, type S3 } from './s3.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Answers with the address of the S3 that all journeys share. */
    sharedS3: string
  }
}

/** One S3 service for a whole run, in the process that outlives the files of tests. The first who asks has it started. */
export default async function setUp({ provide }: TestProject): Promise<() => Promise<void>> {
  let s3: Promise<S3> | undefined
  const server = createServer((_request, reply) => {
    s3 ??= startS3()
    s3.then(
      ({ endpoint }) => reply.end(endpoint),
      (error: Error) => reply.writeHead(500).end(error.stack),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  provide('sharedS3', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)

  return async () => {
    server.close()
    await (await s3)?.stop()
  }
}
