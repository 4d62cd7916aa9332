/* What the tests of the kvm platform share. */
#ifndef SUNDOG_TEST_PLATFORM_KVM_H
#define SUNDOG_TEST_PLATFORM_KVM_H

#include "platform/kvm/internal.h"
#include "tests/unit/platform_fixture.h"

/* Another process of the sandbox, which must notice nothing; and the pages that all share. */
void check_bystander(void);

/* Each ended by an empty entry. */
extern const struct CMUnitTest kvm_attack_tests[], kvm_vcpu_tests[], kvm_session_tests[];

#endif
