import { endOnSignal, launch, prepare, processFacts } from './lifecycle.ts'

/** `videoflix worker`: takes tasks and nothing else. */
export async function work(): Promise<void> {
  const started = await launch('service')
  const { app, log, settings } = started
  settings.tasks.workInServer = true
  await prepare(started)
  const worker = app.createWorker(processFacts)
  worker.start()
  // Listening for signals does not keep a process alive; the worker's timer does.
  endOnSignal(log, async () => {
    await worker.drain()
    await app.close()
  })
  log.info('waiting for tasks')
}
