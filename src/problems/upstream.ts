import type { CatalogEntry } from './entry.ts'

/** Problems that HighLevel makes. */
export const upstreamProblems = {
  'upstream-failed': {
    status: 502,
    retryable: true,
    title: 'HighLevel failed',
    remedy: 'Send the same call again later. It is safe to repeat a write of the same values.'
  },
  'upstream-unreadable': {
    status: 502,
    retryable: true,
    title: 'HighLevel’s answer could not be read',
    remedy: 'Read the record before you write again: applied says whether the write may have been stored.'
  },
  'upstream-contract-changed': {
    status: 502,
    retryable: false,
    title: 'HighLevel no longer takes calls of this form',
    remedy:
      'Report it to the operator, with upstream.message: HIGHLEVEL_API_VERSION or HIGHLEVEL_API_URL may have to change. applied says whether the write may have been stored.'
  },
  'upstream-unavailable': {
    status: 503,
    retryable: true,
    title: 'HighLevel cannot be used at the moment',
    remedy: 'Wait for the seconds in Retry-After, then send the same call again.'
  },
  'upstream-timeout': {
    status: 504,
    retryable: true,
    title: 'HighLevel did not answer in time',
    remedy: 'Send the same call again. applied says whether the write may have been stored.'
  }
} as const satisfies Record<string, CatalogEntry>
