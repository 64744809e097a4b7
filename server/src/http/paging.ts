import type { FastifyRequest } from 'fastify'
import { z, type ZodType } from 'zod'

const MAX_SIZE = 100

/** From 1 to `max`, as a query writes it. */
export function wholeNumberTo(max: number) {
  const error = `Write a whole number from 1 to ${max}.`
  const isWithin = (text: string): boolean =>
    /^\d{1,9}$/.test(text) && Number(text) >= 1 && Number(text) <= max
  return z.string({ error }).refine(isWithin, { error }).transform(Number)
}

/** The part of a query that says which page is wanted. */
export const pageQuery = z.object({
  page: wholeNumberTo(1_000_000).prefault('1').meta({ type: 'integer' }),
  page_size: wholeNumberTo(MAX_SIZE).prefault('25').meta({ type: 'integer' }),
})

export function pageOf<T extends ZodType>(item: T) {
  return z.object({
    count: z.int(),
    next: z.string().nullable(),
    previous: z.string().nullable(),
    results: z.array(item),
  })
}

export function rowsOf(query: z.output<typeof pageQuery>): { offset: number; limit: number } {
  return { offset: (query.page - 1) * query.page_size, limit: query.page_size }
}

/** One page of `count` results, with the URLs of those beside it. */
export function toPage<T>(
  request: FastifyRequest,
  backendOrigin: string,
  query: z.output<typeof pageQuery>,
  { results, count }: { results: T[]; count: number },
) {
  const { page, page_size: size } = query
  const urlOf = (number: number): string => {
    const url = new URL(request.url, backendOrigin)
    url.searchParams.set('page', String(number))
    return url.href
  }
  return {
    count,
    next: page * size < count ? urlOf(page + 1) : null,
    previous: page > 1 ? urlOf(page - 1) : null,
    results,
  }
}
