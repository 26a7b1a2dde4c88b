declare module 'sodium-native' {
  const libsodium: {
    /** Whether these 64 bytes are a signature of the message by the key of 32 bytes. Throws for other lengths. */
    crypto_sign_verify_detached(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean;
  };
  export default libsodium;
}
