/** What of the kernel's uapi headers becomes part of src/abi/abi.generated.ts. */

/**
 * The headers whose structs and enums are all emitted, in this order. A struct of another header (sockaddr_in6,
 * for one) is emitted only where one of these contains it.
 */
export const HEADERS: readonly string[] = [
  'rdma/ib_user_verbs.h',
  'rdma/ib_user_ioctl_cmds.h',
  'rdma/ib_user_ioctl_verbs.h',
  'rdma/rdma_user_ioctl_cmds.h',
  'rdma/mlx4-abi.h',
  'rdma/ib_user_mad.h',
  'rdma/ib_user_sa.h',
  'rdma/rdma_user_cm.h',
];

/** Headers that only have to be included for MACROS: they spell the MAD ioctl numbers. */
export const MACRO_HEADERS: readonly string[] = ['rdma/rdma_user_ioctl.h'];

/** The object-like integer macros emitted as constants; debug information does not know macros by itself. */
export const MACROS: readonly string[] = [
  'RDMA_VERBS_IOCTL',
  'IB_USER_VERBS_ABI_VERSION',
  'IB_USER_VERBS_CMD_THRESHOLD',
  'IB_USER_VERBS_CMD_COMMAND_MASK',
  'IB_USER_VERBS_CMD_FLAG_EXTENDED',
  'IB_USER_VERBS_MAX_LOG_IND_TBL_SIZE',
  'IB_DEVICE_NAME_MAX',
  'IB_UVERBS_ACCESS_OPTIONAL_FIRST',
  'IB_UVERBS_ACCESS_OPTIONAL_LAST',
  'UVERBS_ID_NS_MASK',
  'UVERBS_ID_NS_SHIFT',
  'UVERBS_UDATA_DRIVER_DATA_NS',
  'UVERBS_UDATA_DRIVER_DATA_FLAG',
  'MLX4_IB_UVERBS_NO_DEV_CAPS_ABI_VERSION',
  'MLX4_IB_UVERBS_ABI_VERSION',
  'IB_USER_MAD_ABI_VERSION',
  'IB_USER_MAD_REGISTER_AGENT',
  'IB_USER_MAD_UNREGISTER_AGENT',
  'IB_USER_MAD_ENABLE_PKEY',
  'IB_USER_MAD_REGISTER_AGENT2',
  'IB_USER_MAD_REG_FLAGS_CAP',
  'RDMA_USER_CM_ABI_VERSION',
  'RDMA_MAX_PRIVATE_DATA',
];

/**
 * Names for anonymous enums whose enumerators have no telling common prefix, by their first enumerator. Any
 * other anonymous enum is named by the words its enumerators have in common (see naming.ts).
 */
export const ENUM_NAMES: Readonly<Record<string, string>> = {
  UVERBS_ATTR_F_MANDATORY: 'uverbs_attr_flags',
  RDMA_OPTION_ID: 'rdma_option_level',
  RDMA_OPTION_ID_TOS: 'rdma_option_id',
};
