import { hash } from 'node:crypto'

/** SHA-256 in hex: how API keys are stored, and how any credential is remembered without keeping it. */
export const credentialHash = (credential: string): string => hash('sha256', credential, 'hex')
