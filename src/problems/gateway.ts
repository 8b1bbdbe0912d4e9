import type { CatalogEntry } from './entry.ts'

/** Problems of this service itself. */
export const gatewayProblems = {
  internal: {
    status: 500,
    retryable: false,
    title: 'The gateway failed',
    remedy: 'Report the requestId: the cause is in the log under it.'
  },
  'vault-unavailable': {
    status: 503,
    retryable: true,
    title: 'The store of the gateway cannot be read',
    remedy: 'Wait for the seconds in Retry-After. Operators: check DATABASE_URL and the log.'
  },
  'identity-provider-unavailable': {
    status: 503,
    retryable: true,
    title: 'The identity provider cannot be reached',
    remedy: 'Wait for the seconds in Retry-After. Operators: check CALLER_JWKS_URL and the log.'
  },
  overloaded: {
    status: 503,
    retryable: true,
    title: 'Too many calls wait, or too many connections are open',
    remedy:
      'Wait for the seconds in Retry-After, send fewer calls at a time, and keep connections. Operators: where the log says that connections are refused, raise the limit of open files.'
  },
  'shutting-down': {
    status: 503,
    retryable: true,
    title: 'This process of the gateway is ending',
    remedy: 'Send the same call again: another process will take it.'
  },
  'deadline-exceeded': {
    status: 504,
    retryable: true,
    title: 'The call ran out of its time',
    remedy: 'Send the same call again, with a longer X-Request-Timeout-Ms where one was sent.'
  }
} as const satisfies Record<string, CatalogEntry>
