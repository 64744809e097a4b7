import { once } from 'node:events'
import type { Server } from 'node:http'
import { AppError } from '../errors.ts'
import { list } from '../config/env-values.ts'
import { endOnSignal, launch, prepare, processFacts } from './lifecycle.ts'

/** `videoflix worker`: takes tasks and nothing else. */
export async function work({ only }: { only?: string }): Promise<void> {
  const started = await launch('service', ({ tasks }) => {
    tasks.workInServer = true
    if (only !== undefined) tasks.only = list.parse(only)
  })
  const { app, log, settings } = started
  await prepare(started)
  const worker = app.createWorker(processFacts)
  const { monitoring } = app
  const port = settings.monitoring.workerPort
  const server = port === null ? null : monitoring.createWorkerServer()
  if (server && port !== null) await listen(server, { host: settings.listen.host, port })
  worker.start()
  // Listening for signals does not keep a process alive; the worker's timer does.
  endOnSignal(log, async () => {
    monitoring.readiness.end()
    await worker.drain()
    server?.close()
    server?.closeAllConnections()
    await app.close()
  })
  log.info('waiting for tasks')
}

/** Throws `misconfigured`. */
async function listen(server: Server, where: { host: string; port: number }): Promise<void> {
  try {
    server.listen(where)
    await once(server, 'listening')
  } catch (cause) {
    const { message } = cause as Error
    throw new AppError(
      'misconfigured',
      `WORKER_METRICS_PORT cannot be used (${message}): set it to a free port, one for each worker of this machine.`,
      { cause },
    )
  }
}
