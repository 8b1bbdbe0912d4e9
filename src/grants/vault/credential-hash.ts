import { hash } from 'node:crypto'

/** The digest under which an API key is stored and any credential is remembered: SHA-256 in hex. */
export const credentialHash = (credential: string): string => hash('sha256', credential, 'hex')
