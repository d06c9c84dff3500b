export * from './abi.generated.js';
export { type Field, readZeroExtended, type Struct, sizeofStruct } from './struct.js';
