// SPDX-License-Identifier: Apache-2.0
// nom.operators.v1.OperatorService: what operators call. The contract is in proto/.

#ifndef MARKETD_SERVICES_OPERATOR_SERVICE_H_
#define MARKETD_SERVICES_OPERATOR_SERVICE_H_

#include "marketd/services/context.h"
#include "nom/operators/v1/operators.grpc.pb.h"

namespace nom::marketd {

class OperatorService final : public nom::operators::v1::OperatorService::CallbackService {
 public:
  explicit OperatorService(ServiceContext* services) : services_(services) {}

  grpc::ServerUnaryReactor* ListHosts(grpc::CallbackServerContext* context,
                                      const nom::operators::v1::ListHostsRequest* request,
                                      nom::operators::v1::ListHostsResponse* response) override;
  grpc::ServerUnaryReactor* CreateTenant(
      grpc::CallbackServerContext* context, const nom::operators::v1::CreateTenantRequest* request,
      nom::operators::v1::CreateTenantResponse* response) override;
  grpc::ServerUnaryReactor* ListTenants(grpc::CallbackServerContext* context,
                                        const nom::operators::v1::ListTenantsRequest* request,
                                        nom::operators::v1::ListTenantsResponse* response) override;
  grpc::ServerUnaryReactor* Deposit(grpc::CallbackServerContext* context,
                                    const nom::operators::v1::DepositRequest* request,
                                    nom::operators::v1::DepositResponse* response) override;
  grpc::ServerUnaryReactor* AdmitGuest(grpc::CallbackServerContext* context,
                                       const nom::operators::v1::AdmitGuestRequest* request,
                                       nom::operators::v1::AdmitGuestResponse* response) override;
  grpc::ServerUnaryReactor* EvictGuest(grpc::CallbackServerContext* context,
                                       const nom::operators::v1::EvictGuestRequest* request,
                                       nom::operators::v1::EvictGuestResponse* response) override;
  grpc::ServerUnaryReactor* Audit(grpc::CallbackServerContext* context,
                                  const nom::operators::v1::AuditRequest* request,
                                  nom::operators::v1::AuditResponse* response) override;
  BackupWriter* BackUp(grpc::CallbackServerContext* context,
                       const nom::operators::v1::BackUpRequest* request) override;
  grpc::ServerUnaryReactor* GetRoundRecord(
      grpc::CallbackServerContext* context,
      const nom::operators::v1::GetRoundRecordRequest* request,
      nom::operators::v1::GetRoundRecordResponse* response) override;

 private:
  ServiceContext* const services_;
};

}  // namespace nom::marketd

#endif  // MARKETD_SERVICES_OPERATOR_SERVICE_H_
