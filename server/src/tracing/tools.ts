import { basename } from 'node:path'
import { SpanStatusCode, type Span, type Tracer } from '@opentelemetry/api'
import { MediaFailure } from '../media/failure.ts'
import { toolRuns, type Finished, type ToolRun } from '../media/ffmpeg.ts'

/** A span for each run of ffmpeg and ffprobe, in that of its task. Returns what ends it. */
export function traceTools(tracer: Tracer): () => void {
  const spans = new WeakMap<ToolRun, Span>()
  const subscriber = {
    start(run: ToolRun) {
      const name = basename(run.bin)
      spans.set(run, tracer.startSpan(name, { attributes: { 'process.executable.name': name } }))
    },
    asyncEnd(run: ToolRun) {
      const span = spans.get(run)
      if (run.error === undefined) {
        span?.setAttribute('process.exit.code', (run.result as Finished).exitCode)
      } else {
        const reason = run.error instanceof MediaFailure ? run.error.reason : 'aborted'
        span?.setAttribute('error.type', reason)
        span?.setStatus({ code: SpanStatusCode.ERROR, message: reason })
      }
      span?.end()
    },
    end: () => {},
    asyncStart: () => {},
    error: () => {},
  }
  toolRuns.subscribe(subscriber)
  return () => {
    toolRuns.unsubscribe(subscriber)
  }
}
