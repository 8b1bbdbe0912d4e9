import type { CatalogEntry } from './entry.ts'

/** Problems of one location’s connection or allowance: a person of that location acts, or time does. */
export const locationProblems = {
  'location-not-connected': {
    status: 409,
    retryable: false,
    title: 'The location is not connected',
    remedy: 'An administrator of the location opens connectUrl once and approves the app.'
  },
  'location-reconnect-required': {
    status: 409,
    retryable: false,
    title: 'The connection of the location has ended',
    remedy: 'An administrator of the location opens connectUrl and approves the app again.'
  },
  'location-paused': {
    status: 409,
    retryable: true,
    title: 'HighLevel has paused the location',
    remedy: 'Reactivate the location in HighLevel. Its connection then works again by itself.'
  },
  'location-scope-missing': {
    status: 409,
    retryable: false,
    title: 'The connection of the location lacks a permission',
    remedy:
      'Add the scope objects/record.write to the app, then connect the location again: scopes are not granted later.'
  },
  'location-burst-exhausted': {
    status: 429,
    retryable: true,
    title: 'The location has used its HighLevel calls for this moment',
    remedy: 'Wait for the seconds in Retry-After.'
  },
  'location-daily-exhausted': {
    status: 429,
    retryable: true,
    title: 'The location has used its HighLevel calls for today',
    remedy: 'Wait for the seconds in Retry-After. Other integrations of the same app draw on the same allowance.'
  }
} as const satisfies Record<string, CatalogEntry>
