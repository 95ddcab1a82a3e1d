"""Names of the city's things in both languages, for templates and for the pages' scripts."""

from edge.protocol.records import CREDENTIAL_TYPES

TYPES: dict[str, tuple[str, str]] = {
    "resident_id": ("居民身份证", "Resident ID"),
    "household_register": ("户口簿", "Household register"),
    "marriage_certificate": ("结婚证", "Marriage certificate"),
    "driving_licence": ("驾驶证", "Driving licence"),
    "vehicle_licence": ("行驶证", "Vehicle licence"),
    "residence_permit": ("居住证", "Residence permit"),
    "ebike_registration": ("电动自行车信息", "E-bike registration"),
    "health_card": ("电子健康卡", "Health card"),
    "social_security_card": ("社保卡", "Social security card"),
    "lawyer_licence": ("律师执业证", "Lawyer's licence"),
    "subsistence_allowance": ("低保救助证", "Subsistence allowance"),
    "compulsory_motor_policy": ("机动车交强险电子保单", "Compulsory motor policy"),
    "commercial_motor_policy": ("机动车商业险电子保单", "Commercial motor policy"),
    "road_transport_certificate": ("道路运输证", "Road transport certificate"),
    "transport_qualification": ("道路运输从业资格证", "Transport qualification"),
    "foreign_passport": ("境外人员电子护照", "Foreign passport"),
    "disability_certificate": ("残疾人证", "Disability certificate"),
    "graduation_certificate": ("普通高等学校毕业证", "Graduation certificate"),
    "birth_certificate": ("出生医学证明", "Birth certificate"),
    "teacher_qualification": ("教师资格证", "Teacher qualification"),
    "degree_certificate": ("学位证", "Degree certificate"),
    "kinship_proof": ("亲属关系证明", "Proof of kinship"),
    "no_criminal_record": ("无犯罪记录证明", "Proof of no criminal record"),
    "floating_population_registration": ("流动人口登记证明", "Floating population registration"),
    "driver_information": ("驾驶人信息查询证明", "Driver information"),
    "vehicle_information": ("机动车信息查询证明", "Vehicle information"),
    "household_change": ("户口登记项目内容变更（更正）证明", "Proof of household change"),
    "household_cancellation": ("注销户口证明", "Proof of household cancellation"),
}
FIELDS: dict[str, tuple[str, str]] = {
    "name": ("姓名", "Name"), "sex": ("性别", "Sex"), "nation": ("民族", "Nation"),
    "birth_date": ("出生日期", "Date of birth"), "address": ("住址", "Address"),
    "id_number": ("证件号码", "ID number"), "authority": ("签发机关", "Authority"),
    "licence_number": ("证号", "Licence number"), "vehicle_class": ("准驾车型", "Vehicle classes"),
    "first_issue_date": ("初次领证日期", "First issued"),
    "file_number": ("档案编号", "File number"),
    "plate_number": ("号牌号码", "Plate"), "owner": ("所有人", "Owner"),
    "vehicle_type": ("车辆类型", "Vehicle type"), "use": ("使用性质", "Use"),
    "model": ("品牌型号", "Model"), "vin": ("车辆识别代号", "VIN"),
    "engine_number": ("发动机号码", "Engine number"), "register_date": ("注册日期", "Registered"),
    "valid_until": ("有效期至", "Valid until"),
}
_UNNAMED = set(CREDENTIAL_TYPES) - set(TYPES)
assert not _UNNAMED, f"credential types without a name: {sorted(_UNNAMED)}"


def type_name(value: str, column: int) -> str:
    """Name a credential's type; column 0 is Chinese, 1 English. A strange one names itself."""
    return TYPES[value][column] if value in TYPES else value


def field_name(value: str, column: int) -> str:
    """Name a credential's field; as `type_name`."""
    return FIELDS[value][column] if value in FIELDS else value


def names_of(column: int) -> dict[str, dict[str, str]]:
    """Give every name in one language, as the pages' scripts read them."""
    return {"types": {key: words[column] for key, words in TYPES.items()},
            "fields": {key: words[column] for key, words in FIELDS.items()}}
